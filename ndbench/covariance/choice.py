"""Which algorithm should be the fastest, from exact counts of its work."""

import math
from functools import lru_cache

from ndbench.covariance.patches import Patches
from ndbench.covariance.work import LaggedWork, im2col_flops

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
    work = LaggedWork.of(shape, patches)
    groups = patches.groups(shape[1])
    F = shape[1] * patches.offsets // groups
    lagged = PER_FLOP * work.flops + PER_VALUE * math.prod(shape) + PER_ENTRY * groups * F**2 + PER_PIECE * work.pieces
    im2col = im2col_flops(shape, patches)
    return "lagged" if lagged < im2col + PER_PATCHED * im2col / (2 * F) else "im2col"
