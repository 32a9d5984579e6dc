"""The adjoint of patch covariance, by enumeration of patches in numpy.

Every entry of the patch matrix X is one pixel of the padded input: which one is found by taking the patches of the
pixels' numbers. With upstream gradients g of the mean and G of the covariance, M rows and Z = X - 1 mean,

    <g, mean> + <G, cov>  has the gradient  dX = (1 g^T + Z (G + G^T)) / M,

since moving the mean moves cov by Z^T 1 = 0; and each pixel collects what its entries of dX say.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.verify.oracles.covariance import patch_matrices

Array = NDArray[Any]


def covariance_gradient(x: Array, g: Array, G: Array, **geometry: Any) -> Array:
    """The gradient of <g, mean> + <G, cov> with respect to x, in x's type.

    Args:
        x: images (N, C, H, W), in float64 or longdouble.
        g: upstream gradient of the mean, (groups, F), one group if pooled.
        G: upstream gradient of the covariance, (groups, F, F), as symmetric or not as it may be.
        **geometry: `kernel_size`, `stride`, `padding`, `dilation`, `block`, `pooled`, `grouping`.
    """
    matrices, places = patch_matrices(x, **geometry), patch_matrices(pixel_numbers(x), **geometry)
    dX = [_of_rows(X, g[i], G[i]) for i, X in enumerate(matrices)]
    return collect(x, list(zip(places, dX, strict=True)))


def pixel_numbers(x: Array) -> Array:
    """1, 2, 3, ... in the shape of x; padding gets 0."""
    return np.arange(1.0, x.size + 1).reshape(x.shape)


def collect(x: Array, found: list[tuple[Array, Array]]) -> Array:
    """The sum over pairs (numbers, values) of the values that each pixel of x has, in x's shape."""
    total = np.zeros(x.size + 1, dtype=x.dtype)
    for numbers, values in found:
        np.add.at(total, numbers.astype(np.int64), values)
    return total[1:].reshape(x.shape)


def _of_rows(X: Array, g: Array, G: Array) -> Array:
    M = len(X)
    return np.asarray((g + (X - X.sum(axis=0) / M) @ (G + G.T)) / M)
