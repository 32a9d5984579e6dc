"""Truth about patch covariance, from its definition: the patch matrix, written down one column after the other.

Three oracles, for the same rows:

- exact: integers. Sums of squares below 2^53 are exact in float64 in whatever order they are added, and the rest is
  done with Python's integers, whose quotient is correctly rounded;
- extended: two passes in numpy's longdouble, where that is wider than float64;
- float64: two passes in float64. It grades float32, whose unit roundoff is 2^29 times as large.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.verify.oracles.unavailable import OracleUnavailable

Array = NDArray[np.floating[Any]]
Pair = int | tuple[int, int]

EXACT = 2.0**53
"""Integers up to here are exact in float64."""
CHUNK = 64
"""Rows whose products are added one after the other before the chunks are."""


@dataclass(frozen=True, eq=False)
class CovarianceTruth:
    """Mean and covariance of the rows of one group.

    Attributes:
        mean: (F,).
        cov: (F, F), with eps on the diagonal; longdouble where that is the oracle.
        error: |cov - true| <= error (mean over rows of |x_a - mean_a| |x_b - mean_b|) + 2^-53 |cov|, entry by entry.
        source: the oracle.
    """

    mean: Array
    cov: Array
    error: float
    source: str


def patch_columns(
    x: Array, kernel_size: Pair, *, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1
) -> list[Array]:
    """The columns (c, i, j) of the patch matrix, in this order.

    Column (c, i, j) at the output (n, y, x) is the pixel (s_r y + d_r i, s_c x + d_c j) of channel c of padded image n.

    Args:
        x: images (N, C, H, W).
        kernel_size: (kh, kw), or one integer, as for the others.
        stride: (s_r, s_c).
        padding: zeros around the image.
        dilation: (d_r, d_c).
    """
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = (_two(v) for v in (kernel_size, stride, padding, dilation))
    N, C, H, W = x.shape
    padded = np.zeros((N, C, H + 2 * ph, W + 2 * pw), dtype=x.dtype)
    padded[:, :, ph : ph + H, pw : pw + W] = x
    rows = np.arange(0, H + 2 * ph - dh * (kh - 1), sh)
    columns = np.arange(0, W + 2 * pw - dw * (kw - 1), sw)
    return [
        padded[:, c, rows[:, None] + dh * i, columns + dw * j].ravel()
        for c, i, j in product(range(C), range(kh), range(kw))
    ]


def group_columns(count: int, groups: int, grouping: str) -> list[list[int]]:
    """Which of so many columns make up each group, in their order within it.

    Example:
        >>> group_columns(6, 2, "channel")
        [[0, 1, 2], [3, 4, 5]]
        >>> group_columns(6, 2, "interleaved")
        [[0, 2, 4], [1, 3, 5]]
    """
    width = count // groups
    if grouping == "interleaved":
        return [[j for j in range(count) if j % groups == g] for g in range(groups)]
    return [[j for j in range(count) if j // width == g] for g in range(groups)]


def patch_matrices(
    x: Array,
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    block: int | None = None,
    pooled: bool = True,
    grouping: str = "channel",
) -> list[Array]:
    """The rows (M, F) of each group, or, if pooled, those of all groups below one another."""
    columns = patch_columns(x, kernel_size, stride=stride, padding=padding, dilation=dilation)
    groups = x.shape[1] // (block or x.shape[1])
    matrices = [
        np.stack([columns[j] for j in chosen], axis=1) for chosen in group_columns(len(columns), groups, grouping)
    ]
    return [np.concatenate(matrices)] if pooled else matrices


def exact(rows: Array, eps: float = 0.0) -> CovarianceTruth:
    """Mean T / M and covariance (M S - T T^T) / M^2 + eps I of integers, S = X^T X and T = 1^T X, correctly rounded.

    Raises:
        OracleUnavailable: if an entry is no integer, or the sums could pass 2^53.
    """
    if (rows != np.rint(rows)).any():
        raise OracleUnavailable("exact covariance: not all values are integers")
    M = len(rows)
    if M * float(abs(rows).max()) ** 2 >= EXACT:
        raise OracleUnavailable(f"exact covariance: sums of {M} squares of {abs(rows).max():.3g} could pass 2^53")
    X = rows.astype(np.float64)
    S, T = _integers(X.T @ X), _integers(X.sum(axis=0))
    numerator = M * S - np.multiply.outer(T, T)
    # Python divides integers with one rounding
    mean, cov = (T / M).astype(np.float64), (numerator / M**2).astype(np.float64)
    for a in range(len(T)):
        cov[a, a] = float(Fraction(int(numerator[a, a]), M**2) + Fraction(eps))
    return CovarianceTruth(mean, cov, 0.0, "exact integers")


def extended(rows: Array, eps: float = 0.0) -> CovarianceTruth:
    """Two passes in longdouble.

    Raises:
        OracleUnavailable: where longdouble is no wider than float64.
    """
    if np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        raise OracleUnavailable(
            "extended covariance: longdouble is float64 on this machine, which cannot grade float64"
        )
    return _two_passes(rows.astype(np.longdouble), eps, "two passes in longdouble")


def double(rows: Array, eps: float = 0.0) -> CovarianceTruth:
    """Two passes in float64."""
    return _two_passes(rows.astype(np.float64), eps, "two passes in float64")


def truth(rows: Array, dtype: str, eps: float = 0.0) -> CovarianceTruth:
    """The strongest truth that can be had for values of this type: exact for integers, else one of the others.

    Raises:
        OracleUnavailable: for float64 values that are no integers, where longdouble is float64.
    """
    try:
        return exact(rows, eps)
    except OracleUnavailable:
        return extended(rows, eps) if dtype == "float64" else double(rows, eps)


def _two_passes(X: Array, eps: float, source: str) -> CovarianceTruth:
    """Mean = 1^T X / M, cov = Z^T Z / M with Z = X - mean, in X's type with the unit roundoff v.

    An error of the mean enters the covariance squared. Products are added in chunks, so each passes at most CHUNK +
    M / CHUNK additions, and with the subtraction, the product and the division about 4 more roundings.
    """
    M, F = X.shape
    mean = _chunks(X).sum(axis=1).sum(axis=0) / M
    Z = _chunks(X - mean)
    cov = (Z.mT @ Z).sum(axis=0) / M + eps * np.eye(F, dtype=X.dtype)
    v = float(np.finfo(X.dtype).eps) / 2
    return CovarianceTruth(mean, cov, (CHUNK + M / CHUNK + 4) * v, source)


def _chunks(X: Array) -> Array:
    """(M, F) as (chunks, CHUNK, F), with zeros below."""
    M, F = X.shape
    count = -(-M // CHUNK)
    filled = np.zeros((count * CHUNK, F), dtype=X.dtype)
    filled[:M] = X
    return filled.reshape(count, CHUNK, F)


def _integers(values: NDArray[np.float64]) -> Any:
    return values.astype(np.int64).astype(object)


def _two(value: Pair | Sequence[int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])
