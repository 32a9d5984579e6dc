"""Which algorithm should be the fastest, from exact counts of its work."""

import math
from functools import lru_cache

import torch

from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes, half_lags

PER_FLOP = 2.4
PER_VALUE = 2700
PER_ENTRY = 5600
PER_PIECE = 14_000_000
PER_PATCHED = 700
"""Flops of im2col that take the time of one flop, one value of x, one entry and one piece of the lagged algorithm,
and of one value of the patch matrix."""


@lru_cache(maxsize=256)
def fastest(shape: tuple[int, int, int, int], patches: Patches) -> str:
    """The algorithm expected to take the least time for inputs of this shape, "lagged" or "im2col".

    "lagged" is chosen if 2.4 times its flops, plus 2700 for each value of x, 5600 for each of the G F^2 entries that it
    assembles and 1.4e7 for each piece that it multiplies, are less than the flops 2 M F^2 of "im2col" plus 700 for each
    of the M F values of its patches. The counts are exact. The five factors were set by hand on times of one CPU core
    in float32, forward and backward together: a flop of im2col takes 7.1 ps, a value of x 19 ns, an entry 40 ns, a
    piece 100 us, and a value of the patches 5 ns. "shifted" assembles as many entries after more products, and is never
    chosen.
    docs/covariance.md has the times, and `python -m benchmarks.covariance` measures them.
    """
    flops, pieces = lagged_work(shape, patches)
    groups = patches.groups(shape[1])
    F = shape[1] * patches.offsets // groups
    lagged = PER_FLOP * flops + PER_VALUE * math.prod(shape) + PER_ENTRY * groups * F**2 + PER_PIECE * pieces
    im2col = im2col_flops(shape, patches)
    return "lagged" if lagged < im2col + PER_PATCHED * im2col / (2 * F) else "im2col"


def im2col_flops(shape: tuple[int, int, int, int], patches: Patches) -> int:
    """Flops of the product of the patch matrix with itself, 2 M F^2 in all the groups together."""
    images, channels, height, width = shape
    rows, columns = patches.output_size(height, width)
    groups = patches.groups(channels)
    F = channels * patches.offsets // groups
    return 2 * images * rows * columns * groups * F**2


def lagged_work(shape: tuple[int, int, int, int], patches: Patches) -> tuple[int, int]:
    """Flops of the lagged products, 2 N A m^2 for each pixel of each piece, and the number of pieces."""
    images, channels, height, width = shape
    classes = Classes.of(patches, channels, torch.device("cpu"))
    A, m, _ = classes.product_shape
    row_axis, column_axis = axes(patches, height, width)
    pixels = pieces = 0
    for row_lag, column_lag in half_lags(row_axis, column_axis):
        if classes.meets[row_lag * column_axis.kernel + column_lag]:
            rows = [len(segment.positions) for segment in row_axis.segments(row_lag)]
            columns = [len(segment.positions) for segment in column_axis.segments(column_lag)]
            pixels += sum(rows) * sum(columns)
            pieces += len(rows) * len(columns)
    return 2 * images * A * m**2 * pixels, pieces
