"""The upper tiles of symmetric sums of products, strip by strip and without gaps, as one partial sum holds them.

The strip i has the rows of the tiles (i, j), i <= j: TILE rows, or what is left of them, of the F - i TILE numbers from
the diagonal tile on. All strips take at most (F + TILE) F / 2 numbers, and where F <= TILE the F^2 of one tile. The sums
of the F columns follow, and zeros up to a multiple of 16 numbers, which lie at aligned addresses.
"""

import triton
import triton.language as tl

ALIGNED = 16


@triton.jit
def strip_at(top, columns, TILE: tl.constexpr):
    """Where a strip begins."""
    # 64-bit: columns^2 / 2 passes 2^31 beyond 65535 columns
    top = top.to(tl.int64)
    return top * TILE * columns - top * (top - 1) // 2 * (TILE * TILE)


@triton.jit
def in_strip(top, line, column, columns, TILE: tl.constexpr):
    """Places in the strip of the entries in some lines of it, (LINES,), and columns of the matrix, (TILE,)."""
    corner = top * TILE
    return line[:, None] * (columns - corner) + (column - corner)[None, :]


def products_of(columns: int, tile: int) -> int:
    """Numbers of all strips."""
    last = (columns - 1) // tile
    rest = columns - last * tile
    return last * tile * columns - last * (last - 1) // 2 * tile**2 + rest**2


def record_of(columns: int, tile: int) -> int:
    """Numbers of a partial sum."""
    return -(-(products_of(columns, tile) + columns) // ALIGNED) * ALIGNED
