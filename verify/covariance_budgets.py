"""What the checks of covariance and deconvolution allow, entry by entry, with reasons.

u is the unit roundoff of the arithmetic: 2^-53 for float64, 2^-24 for all other types, because half types are computed
in float32 and rounded once. v is that of products of such numbers: u, unless a kernel multiplies in tf32, as sums and
means never do. M is the number of rows.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ndbench.verify.budgets import unit_roundoff
from ndbench.verify.oracles.covariance import patch_matrices

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scales:
    """The sizes of what is added up; G is 1 where the blocks are pooled.

    With y = x - (mean of its channel) inside the image and 0 outside, x~_a = x_a - (mean of column a):

    Attributes:
        rows: M.
        level: max(mean |x_a|, mean |y_a|), (G, F).
        spread: max(mean |x~_a| |x~_b|, mean |y_a| |y_b|), (G, F, F). An algorithm without a patch matrix cannot center
            columns, only channels, and small images differ in the two.
    """

    rows: int
    level: Array
    spread: Array

    @classmethod
    def of(cls, x: Array, arguments: Mapping[str, Any]) -> "Scales":
        """The sizes for images (N, C, H, W) and the keywords of their patches."""
        columns = patch_matrices(x, **arguments)
        centered = patch_matrices(x - x.mean(axis=(0, 2, 3), keepdims=True), **arguments)
        level = [np.maximum(abs(X).mean(0), abs(Y).mean(0)) for X, Y in zip(columns, centered, strict=True)]
        spread = [np.maximum(_absolute(X - X.mean(0)), _absolute(Y)) for X, Y in zip(columns, centered, strict=True)]
        return cls(len(columns[0]), np.stack(level), np.stack(spread))

    @property
    def largest(self) -> Array:
        """The largest diagonal entry of the spread of each group, (G,)."""
        largest: Array = np.diagonal(self.spread, axis1=-2, axis2=-1).max(axis=-1)
        return largest


def _absolute(Z: NDArray[np.floating[Any]]) -> Array:
    """The mean over rows of |z_a| |z_b|."""
    size = abs(Z).astype(np.float64)
    return np.asarray(size.T @ size / len(size))


def arithmetic(dtype: torch.dtype) -> float:
    """u: half types are computed in float32."""
    return min(unit_roundoff(dtype), unit_roundoff(torch.float32))


def rounded_products(dtype: torch.dtype, v: float) -> float:
    """What products lose beyond the arithmetic, relative to their sizes: 4 (v - u), which is 0 where they have its u.

    A tf32 number misses v of a float32 number where it was rounded, 2 v where it was cut off, and a product has two.
    The errors may all have one sign; they do not grow with the number of products, since sums are kept in float32.
    """
    return 4 * (v - arithmetic(dtype))


def rounding(dtype: torch.dtype, value: Array) -> Array:
    """Rounding the answer to its type, and the truth to float64: 2 u |value|, and half the smallest subnormal."""
    limits = torch.finfo(dtype)
    return np.asarray(2 * unit_roundoff(dtype) * abs(value) + limits.tiny * limits.eps / 2)


def mean(dtype: torch.dtype, true: Array, scales: Scales) -> Array:
    """|mean_a - mean*_a|: u (4 + log2(M) / 2) level_a, and rounding.

    Pairwise or blocked sums lose at most log2(M) roundings of the size of the terms, and about half of it in practice.
    """
    return _mean_error(dtype, scales) + rounding(dtype, true)


def summation(M: int) -> float:
    """The error, in units u, of a sum of M products of centered entries: s(M) = 8 + min(M, 1000 + 8 sqrt(M)).

    M additions in any order are proven to take M units to first order. Errors of independent signs take sqrt(M) and
    less, but where many pixels are equal, as in the dark parts of photographs and the zeros after a ReLU, they have one
    sign for as long as one accumulator runs: 420 units were seen at M = 1008 in one float64 product. An implementation
    that adds up much more than a thousand rows in one accumulator loses digits that blocks would keep.
    """
    return 8 + min(M, 1000 + 8 * math.sqrt(M))


def covariance(dtype: torch.dtype, true: Array, scales: Scales, v: float) -> Array:
    """|cov_ab - cov*_ab|: (u s(M) + 4 (v - u)) spread_ab + e_a e_b, e being the mean's error, and rounding.

    s(M) is what centering, products and sums take (`summation`), and v - u what products in tf32 take more
    (`rounded_products`). An error of the mean enters squared, because
    sum (x~_a - e_a)(x~_b - e_b) / M = cov_ab + e_a e_b.
    """
    e = _mean_error(dtype, scales)
    entry = arithmetic(dtype) * summation(scales.rows) + rounded_products(dtype, v)
    return entry * scales.spread + e[..., :, None] * e[..., None, :] + rounding(dtype, true)


def semidefinite(dtype: torch.dtype, scales: Scales, v: float) -> Array:
    """-lambda_min: sqrt(F) (u s(M) + 4 (v - u) + 2 u_type) max_a spread_aa, for each group, s as in `summation`.

    Errors of independent signs in all entries of an (F, F) matrix have a norm of 2 sqrt(F) times one of them; the
    budget of the covariance would allow F times one.
    """
    F = scales.level.shape[-1]
    entry = arithmetic(dtype) * summation(scales.rows) + rounded_products(dtype, v) + 2 * unit_roundoff(dtype)
    return np.asarray(np.sqrt(F) * entry * scales.largest)


def folding(dtype: torch.dtype, order: int, size: Array, folded: Array) -> Array:
    """|y - y*| of y = b' + p . w': u (4 + sqrt(F)) (|p| + |mean|) . |D| |w| + u_type (|p| . |w'| + |b'| + |b|).

    w' = D w adds F products, with errors of both signs; b' = b - mean . w' adds those of w' again, so both parts carry
    the sizes |D| |w|, in which the cancellation of p . w' against mean . w' is seen. Then w' and b' are rounded once.

    Args:
        dtype: of the answer.
        order: F.
        size: (|p| + |mean|) . |D| |w|.
        folded: |p| . |w'| + |b'| + |b|.
    """
    return np.asarray(arithmetic(dtype) * (4 + np.sqrt(order)) * size + unit_roundoff(dtype) * folded)


def _mean_error(dtype: torch.dtype, scales: Scales) -> Array:
    return np.asarray(arithmetic(dtype) * (4 + np.log2(scales.rows) / 2) * scales.level)
