"""Which algorithm should be the fastest, from exact counts."""

from functools import lru_cache

import torch

from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes, plan

PER_PRODUCT = 1.5
PER_ENTRY = 1500
PER_PIECE = 4_000_000


def im2col_flops(shape: tuple[int, ...], patches: Patches) -> int:
    """Flops of the product of the patch matrix, 2 M F^2 for each of the G groups of M rows."""
    images, channels, height, width = shape
    rows, columns = patches.output_size(height, width)
    groups = patches.groups(channels)
    F = channels * patches.offsets // groups
    return 2 * images * rows * columns * groups * F**2


@lru_cache(maxsize=256)
def lagged_work(shape: tuple[int, ...], patches: Patches) -> tuple[int, int]:
    """Flops of the lagged products, 2 N A m^2 for each pixel of each piece, and the number of pieces."""
    images, channels, height, width = shape
    classes = Classes.of(patches, channels, torch.device("cpu"))
    A, m = classes.members.shape
    kw = patches.kernel_size[1]
    lags = [lag for lag in plan(*axes(patches, height, width)) if classes.meets[lag.rows * kw + lag.columns]]
    pixels = [piece.pixels for lag in lags for piece in lag.pieces]
    return 2 * images * A * m**2 * sum(pixels), len(pixels)
