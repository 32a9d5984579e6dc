"""The phases of a group in one launch, a program for each tile of a lower triangle, each phase and each matrix."""

from collections.abc import Iterator

import triton.language as tl
from torch import Tensor

from ndbench.kernels.newton_schulz.multiplication import MULTIPLICATIONS, Multiplication
from ndbench.kernels.newton_schulz.symmetric import lower_tile, phase_tile
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@specialized_on("ld")
def multiply_tiles(
    scratch,
    operands,
    factors,
    first,
    buffers,
    n,
    ld: tl.int64,
    BLOCK: tl.constexpr,
    BLOCK_K: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Phase first + program_id(1); scratch is (batch, buffers, ld, ld)."""
    # 64-bit: batch * buffers * ld * ld may pass 2**31
    home = tl.multiple_of(scratch + tl.program_id(2).to(tl.int64) * buffers * ld * ld, 16)
    row, column = lower_tile(tl.program_id(0))
    phase_tile(
        home,
        operands,
        factors,
        first + tl.program_id(1),
        row,
        column,
        n,
        ld,
        ld * ld,
        BLOCK,
        BLOCK_K,
        False,
        OPERAND,
        PRECISION,
    )


def configuration(block: int, multiplication: Multiplication) -> Configuration:
    """That of tiles of this size."""
    return Configuration({"BLOCK": block, "BLOCK_K": 32, **multiplication.constants}, warps=4, stages=3)


def multiply(
    scratch: Tensor, tables: tuple[Tensor, Tensor], first: int, phases: int, n: int, chosen: Configuration
) -> None:
    """Run so many phases of the tables, from number `first` on, on the buffers of every matrix."""
    batch, buffers, ld, _ = scratch.shape
    tiles = ld // chosen.constants["BLOCK"]
    grid = tiles * (tiles + 1) // 2, phases, batch
    multiply_tiles[grid](scratch, *tables, first, buffers, n, ld, **chosen.options())


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for multiplication in MULTIPLICATIONS:
        for block in (32, 64):
            yield Variant(
                name=f"newton_schulz.tiled_products/{block}/{multiplication.name}",
                kernel=multiply_tiles,
                signature={
                    "scratch": "*fp32",
                    "operands": "*i32",
                    "factors": "*fp32",
                    **dict.fromkeys(("first", "buffers", "n"), "i32"),
                    "ld": "i64",
                },
                configuration=configuration(block, multiplication),
                precision=multiplication.kind,
                divisible=("ld",),
                vendors=multiplication.vendors,
            )
