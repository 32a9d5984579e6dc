"""Tiles of pixels and channels, in the order in which memory holds them.

In a kernel AXIS is the axis of pixels, 1 where they are the nearer neighbours. A vector over pixels is broadcast by
`tl.expand_dims(pixels, 1 - AXIS)`, one over channels by `tl.expand_dims(channels, AXIS)`.
"""

import triton.language as tl
from torch import Tensor

CHUNK = 1024
"""Rows that one accumulator adds up. Where many pixels are equal, errors of one sign grow with them."""

NOWHERE = tl.constexpr(-(2**30))
"""A line above every image. Two of them add up to one: that a row and a column are none takes no predicate of its own,
of which kernels short of registers would keep one for every entry."""


def pixel_axis(x: Tensor) -> int:
    """1 where neighbouring pixels of a row lie nearer to each other in memory than neighbouring channels, else 0."""
    return int(x.stride(3) < x.stride(1))
