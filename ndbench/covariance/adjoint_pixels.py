"""The adjoints of the algorithms that build no patch matrix: each pixel's gradient from its surroundings."""

from collections.abc import Callable
from functools import partial
from itertools import product

import torch
from torch import Tensor

from ndbench.covariance.adjoint_parts import Part, by_class, convolution, lag_sums, products, surroundings
from ndbench.covariance.adjoint_regions import Reach, image_of, reaches
from ndbench.covariance.adjoint_weights import Upstream
from ndbench.covariance.assembly import images_at_a_time
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes


def shifted_adjoint(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches) -> Tensor:
    """Gradient with respect to x, one product for each pair of offsets.

    With M rows, Gs = (dcov + dcov^T) / M, X the padded input and I(r) the offsets at which patches read the pixel r,

        dx[c, r] = sum over t in I(r) of (
            dmean_ct / M + sum over c' and t' of (X[c', r + d (t' - t)] - mean_c't') Gs_c't',ct
        ).

    Pixels of equal I(r) are computed together. No patch matrix is built: besides the gradient it takes copies of a few
    images at a time, and a copy of Gs.

    Args:
        x: input, shape (N, C, H, W), float32 or float64.
        mean: of the patches, as the algorithm returned it, (F,) or (G, F).
        dmean: gradient with respect to the mean, of its shape.
        dcov: gradient with respect to the covariance, (F, F) or (G, F, F); only its symmetric part counts.
        patches: which patches, and their blocks.

    Returns:
        gradient with respect to x, of its shape.
    """
    upstream = Upstream.of(x, mean, dmean, dcov, patches)

    def part(rows: Reach, columns: Reach) -> Part:
        read = product(product(rows.offsets, columns.offsets), product(*map(range, patches.kernel_size)))
        taps = [((u - i, v - j), upstream.weights[i, j, u, v]) for (i, j), (u, v) in read]
        return products(rows, columns, taps, upstream)

    return assembled(x, patches, lambda images: by_class(images, upstream), part)


def lagged_adjoint(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches) -> Tensor:
    """Gradient with respect to x, one product for each lag of two offsets.

    In the sum of :func:`shifted_adjoint` all pairs of offsets of one lag l = t' - t read the same pixel. With s_c the
    mean of a channel, v = dmean / M - (mean - s) Gs, and K_l the sum of Gs_c't',ct over the t in I(r) that have
    t' = t + l in the patch,

        dx[c, r] = sum over t in I(r) of v_ct + sum over l and c' of (X[c', r + d l] - s_c') K_l[c', c].

    At stride 1 the inner pixels are one convolution with a kernel of (2 kh - 1)(2 kw - 1), and each row or column at
    the border has a smaller one of its own. No patch matrix is built: besides the gradient it takes copies of a few
    images at a time, a copy of Gs, and K_l for each I.

    Args:
        x: input, shape (N, C, H, W), float32 or float64.
        mean: of the patches, as the algorithm returned it, (F,) or (G, F).
        dmean: gradient with respect to the mean, of its shape.
        dcov: gradient with respect to the covariance, (F, F) or (G, F, F); only its symmetric part counts.
        patches: which patches, and their blocks.

    Returns:
        gradient with respect to x, of its shape.
    """
    upstream = Upstream.of(x, mean, dmean, dcov, patches)
    if convolves(x.dtype, x.device.type, patches):
        convolved = partial(convolution, upstream=upstream)
        return assembled(x, patches, lambda images: surroundings(images, upstream), convolved)

    def part(rows: Reach, columns: Reach) -> Part:
        weights = lag_sums(upstream.weights, rows, columns)
        indices = product(*map(range, weights.shape[:2]))
        taps = [((i - rows.offsets[-1], j - columns.offsets[-1]), weights[i, j]) for i, j in indices]
        return products(rows, columns, taps, upstream)

    return assembled(x, patches, lambda images: by_class(images, upstream), part)


def convolves(dtype: torch.dtype, device: str, patches: Patches) -> bool:
    """Whether torch's convolution serves: of float64 it unfolds the input, and on a GPU it may round to tf32."""
    return patches.grouping == "channel" and dtype == torch.float32 and device == "cpu"


def assembled(
    x: Tensor, patches: Patches, prepared: Callable[[Tensor], Tensor], part: Callable[[Reach, Reach], Part]
) -> Tensor:
    """The gradient of all pixels from the part of each region, for a few prepared images at a time."""
    rows, columns = axes(patches, x.shape[2], x.shape[3])
    if not reaches(rows) or not reaches(columns):
        return torch.zeros_like(x)
    parts = [[part(r, c) for c in reaches(columns)] for r in reaches(rows)]
    gradients = []
    for images in torch.split(x, images_at_a_time(x, patches.block or x.shape[1])):
        y = prepared(images)
        gradients.append(image_of([[found(y) for found in line] for line in parts], rows, columns))
    return torch.cat(gradients)
