"""alpha ADD + beta LEFT RIGHT on tiles, of batches of padded symmetric matrices, with alpha and beta for each matrix.

The result is one of three:

    "plain":      alpha ADD + beta LEFT RIGHT, every tile of it
    "symmetric":  the same where LEFT RIGHT is symmetric but for rounding: the lower triangle, mirrored
    "both":       alpha ADD + beta (LEFT RIGHT + RIGHT LEFT) / 2, the lower triangle, mirrored
"""

from collections.abc import Iterator

import triton.language as tl
from torch import Tensor

from ndbench.kernels.denman_beavers.tiles import (
    configuration,
    configurations,
    lower_tile,
    store_symmetric,
    sum_over_k,
    tiles,
)
from ndbench.kernels.precision import PRECISIONS
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Variant

KINDS = ("plain", "symmetric", "both")


@specialized_on("P")
def combined(
    LEFT,
    RIGHT,
    ADD,
    OUT,
    alpha,
    beta,
    P,
    lefts,
    adds,
    BLOCK: tl.constexpr,
    DEPTH: tl.constexpr,
    KIND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile a program, all of one matrix together; matrix i takes LEFT[i % lefts] and ADD[i % adds]."""
    across = tl.cdiv(P, BLOCK)
    if KIND == "plain":
        count = across * across
        position = tl.program_id(0) % count
        tile_row, tile_column = position // across, position % across
    else:
        count = across * (across + 1) // 2
        tile_row, tile_column = lower_tile(tl.program_id(0) % count)
    matrix = tl.program_id(0) // count
    # 64-bit: matrices * P * P may pass 2**31
    size = P.to(tl.int64) * P
    left, right = tl.multiple_of(LEFT + (matrix % lefts) * size, 16), tl.multiple_of(RIGHT + matrix * size, 16)
    add, out = tl.multiple_of(ADD + (matrix % adds) * size, 16), tl.multiple_of(OUT + matrix * size, 16)
    rows = tile_row * BLOCK + tl.arange(0, BLOCK)
    columns = tile_column * BLOCK + tl.arange(0, BLOCK)
    total = sum_over_k(left, right, rows, columns, 0, P, DEPTH, PRECISION)
    if KIND == "both":
        total = 0.5 * (total + sum_over_k(right, left, rows, columns, 0, P, DEPTH, PRECISION))
    within = (rows < P)[:, None] & (columns < P)[None, :]
    entry = rows[:, None] * P + columns[None, :]
    added = tl.load(add + entry, mask=within, other=0)
    total = tl.load(alpha + matrix) * added + tl.load(beta + matrix) * total
    if KIND == "plain":
        tl.store(out + entry, total, mask=within)
    else:
        store_symmetric(out, total, rows, columns, P)


def run(
    kind: str, LEFT: Tensor, RIGHT: Tensor, ADD: Tensor, OUT: Tensor, *, alpha: Tensor, beta: Tensor, precision: str
) -> None:
    """OUT from contiguous float32 matrices, (..., P, P); alpha and beta have the shape of OUT's batch."""
    P = OUT.shape[-1]
    matrices, lefts, adds = (X.numel() // P**2 for X in (OUT, LEFT, ADD))
    chosen = configuration(matrices, P, KIND=kind, PRECISION=precision)
    grid = (matrices * tiles(P, chosen.constants["BLOCK"], triangle=kind != "plain"),)
    combined[grid](LEFT, RIGHT, ADD, OUT, alpha, beta, P, lefts, adds, **chosen.options())


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    signature = {
        **dict.fromkeys(("LEFT", "RIGHT", "ADD", "OUT", "alpha", "beta"), "*fp32"),
        **dict.fromkeys(("P", "lefts", "adds"), "i32"),
    }
    for precision in PRECISIONS:
        for kind in KINDS:
            for chosen in configurations(KIND=kind, PRECISION=precision):
                yield Variant(
                    name=f"denman_beavers.tile_product/{kind}/{chosen.constants['BLOCK']}/{precision}",
                    kernel=combined,
                    signature=signature,
                    configuration=chosen,
                    precision=precision,
                    divisible=("P",),
                    vendors=("nvidia", "amd") if precision == "ieee" else ("nvidia",),
                )
