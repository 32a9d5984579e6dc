"""The upper triangle of symmetric sums of products, row by row and without gaps, as one partial sum holds it.

Entry (a, b), a <= b, of F columns lies at a F - a (a - 1) / 2 + b - a. The sums of the F columns follow, and what is
left to a multiple of 16 numbers, so that partial sums lie at aligned addresses.
"""

import triton
import triton.language as tl

ALIGNED = 16


@triton.jit
def in_triangle(a, b, columns):
    """Places of the entries in rows a, (LINES,), and columns b, (TILE,), where a <= b."""
    # 64-bit: columns^2 / 2 passes 2^31 beyond 65535 columns
    a = a.to(tl.int64)
    return (a * columns - a * (a + 1) // 2)[:, None] + b[None, :]


def products_of(columns: int) -> int:
    """Numbers of the triangle."""
    return columns * (columns + 1) // 2


def record_of(columns: int) -> int:
    """Numbers of a partial sum."""
    return -(-(products_of(columns) + columns) // ALIGNED) * ALIGNED
