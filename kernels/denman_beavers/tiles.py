"""Tiles of matrices whose rows are padded by zeros, and products of them.

Iterates of order n are kept with P rows of P numbers, P a multiple of 16 (of 32 beyond 16) and everything outside the
leading n rows and columns zero. Products of such matrices are such matrices, rows begin at aligned addresses whatever
n is, and no loop over k needs a mask.
"""

from collections.abc import Mapping

import triton
import triton.language as tl

from ndbench.kernels.product import product
from ndbench.kernels.variant import Configuration

DEPTH = 32
"""Columns taken at a time in the loop over k."""

TILES_TO_FILL_A_DEVICE = 256
"""With fewer tiles of 64 than this, tiles of 32 keep more multiprocessors busy."""


@triton.jit
def lower_tile(position):
    """Row and column of a tile in the lower triangle, counted by rows."""
    # below 2^24 an exact root is found exactly, and no other one is rounded up to a whole number
    row = ((tl.sqrt_rn(8.0 * position + 1.0) - 1.0) * 0.5).to(tl.int32)
    return row, position - row * (row + 1) // 2


@triton.jit
def sum_over_k(LEFT, RIGHT, rows, columns, first, P, DEPTH: tl.constexpr, PRECISION: tl.constexpr):
    """The tile of LEFT RIGHT^T in these rows and columns, summed over k from `first` on; both are read by rows."""
    k = tl.arange(0, DEPTH)
    # tiles may hang over the edge; what is computed there is not stored
    left = LEFT + (rows % P)[:, None] * P + k[None, :]
    right = RIGHT + (columns % P)[:, None] * P + k[None, :]
    total = tl.zeros((rows.shape[0], columns.shape[0]), tl.float32)
    for start in range(first, P, DEPTH):
        total += product(tl.load(left + start), tl.trans(tl.load(right + start)), tl.float32, PRECISION)
    return total


@triton.jit
def store_symmetric(OUT, X, rows, columns, P):
    """X into its place in the lower triangle and mirrored into the upper one; on the diagonal its lower part counts."""
    within = (rows < P)[:, None] & (columns < P)[None, :]
    transposed = tl.trans(X)
    lower = tl.where(rows[:, None] >= columns[None, :], X, transposed)
    tl.store(OUT + rows[:, None] * P + columns[None, :], lower, mask=within)
    below = tl.max(rows, axis=0) > tl.max(columns, axis=0)
    tl.store(OUT + columns[:, None] * P + rows[None, :], transposed, mask=tl.trans(within) & below)


def padded_order(n: int) -> int:
    """P."""
    return 16 if n <= 16 else 32 * -(-n // 32)


LARGEST_ORDER = 46_336
"""Multiple of 32, whose square has less than 32 bits: entries of a matrix are numbered by them."""


def require_order(n: int, name: str) -> None:
    """Raise unless the entries of a matrix can be numbered.

    Raises:
        ValueError: if they cannot.
    """
    if n > LARGEST_ORDER:
        raise ValueError(
            f"{name}: Triton kernels of 'denman_beavers' take orders up to {LARGEST_ORDER}; got {n}; use "
            "backend='torch' or another method"
        )


def configuration(matrices: int, P: int, **constants: object) -> Configuration:
    """The tiles for that many matrices."""
    return _configuration(64 if matrices * tiles(P, 64) >= TILES_TO_FILL_A_DEVICE else 32, constants)


def configurations(**constants: object) -> tuple[Configuration, ...]:
    """All that `configuration` may choose."""
    return _configuration(32, constants), _configuration(64, constants)


def tiles(P: int, block: int, *, triangle: bool = True) -> int:
    """How many tiles cover a matrix, or its lower triangle."""
    across = -(-P // block)
    return across * (across + 1) // 2 if triangle else across**2


def _configuration(block: int, constants: Mapping[str, object]) -> Configuration:
    return Configuration({"BLOCK": block, "DEPTH": DEPTH, **constants}, warps=4, stages=3)
