"""T steps for orders up to 128: one launch, a matrix at a time in each program, iterates in the program's scratch.

The grid is persistent: scratch belongs to the program and not to the matrix, so that it stays in the L2 cache. A
barrier follows every phase, since the next one reads what other threads of the program wrote.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.newton_schulz.multiplication import MULTIPLICATIONS, Multiplication
from ndbench.kernels.newton_schulz.schedule import Schedule, tables
from ndbench.kernels.newton_schulz.symmetric import (
    entries,
    lower_tile,
    phase_tile,
    reciprocal,
    symmetric_entries,
)
from ndbench.kernels.runtime import multiprocessors
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant

LARGEST_ORDER = 128
BARRIERS = 3
"""Before a phase, after the last one, and before the next matrix."""
LARGEST_TILE = 64
"""Up to this order a matrix is one tile."""


@triton.jit
def strip_of(strip, ORDER: tl.constexpr, STRIP: tl.constexpr, ANEW: tl.constexpr):
    """Rows and columns of one strip of rows."""
    columns = tl.arange(0, ORDER)[None, :]
    if ANEW:
        # plus 0, but not to the compiler: what follows from the columns is computed anew for every strip. Computed once
        # before all phases, it would take registers during them
        columns += (strip >> 30) * ORDER
    return strip * STRIP + tl.arange(0, STRIP)[:, None], columns


@triton.jit
def norm_of_tiles(
    A, n, stride_row, stride_column, strips, ORDER: tl.constexpr, STRIP: tl.constexpr, ANEW: tl.constexpr
):
    """||A||_F in float64, which holds every square of a float32; the order of the sums is fixed."""
    squares = tl.zeros((), dtype=tl.float64)
    for strip in range(strips):
        rows, columns = strip_of(strip, ORDER, STRIP, ANEW)
        x = entries(A, rows, columns, n, stride_row, stride_column)
        squares += tl.sum(tl.sum(x * x, axis=1), axis=0)
    return tl.sqrt(squares)


@triton.jit
def scaled_into(
    buffer, A, scale, n, stride_row, stride_column, strips, ORDER: tl.constexpr, STRIP: tl.constexpr, ANEW: tl.constexpr
):
    """Buffer <- scale (A + A^T) / 2."""
    for strip in range(strips):
        rows, columns = strip_of(strip, ORDER, STRIP, ANEW)
        M = symmetric_entries(A, rows, columns, n, stride_row, stride_column) * scale
        tl.store(buffer + rows * ORDER + columns, M.to(tl.float32))


@triton.jit
def run_phases(
    home,
    operands,
    factors,
    phases,
    n,
    ORDER: tl.constexpr,
    BLOCK: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_K: tl.constexpr,
    WHOLE: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """All phases on the buffers of one matrix."""
    for phase in range(phases):
        tl.debug_barrier()
        for tile in range(TILES):
            row, column = lower_tile(tile)
            phase_tile(
                home,
                operands,
                factors,
                phase,
                row,
                column,
                n,
                ORDER,
                ORDER * ORDER,
                BLOCK,
                BLOCK_K,
                WHOLE,
                OPERAND,
                PRECISION,
            )
    tl.debug_barrier()


@triton.jit
def scaled_out(D, buffer, scale, n, strips, ORDER: tl.constexpr, STRIP: tl.constexpr, ANEW: tl.constexpr):
    """D <- scale times the buffer; D is contiguous."""
    for strip in range(strips):
        rows, columns = strip_of(strip, ORDER, STRIP, ANEW)
        Z = tl.load(buffer + rows * ORDER + columns).to(tl.float64) * scale
        tl.store(D + rows * n + columns, Z.to(D.dtype.element_ty), mask=(rows < n) & (columns < n))


@specialized_on()
def steps_in_scratch(
    A,
    D,
    scratch,
    operands,
    factors,
    buffers,
    answer,
    phases,
    strips,
    n,
    batch,
    stride_batch: tl.int64,
    stride_row: tl.int64,
    stride_column: tl.int64,
    ORDER: tl.constexpr,
    STRIP: tl.constexpr,
    ANEW: tl.constexpr,
    BLOCK: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_K: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """D of every matrix of one slot; D is contiguous, scratch is (slots, buffers, ORDER, ORDER)."""
    # 64-bit: batch * n * n and strides may pass 2**31
    home = tl.multiple_of(scratch + tl.program_id(0).to(tl.int64) * buffers * (ORDER * ORDER), 16)
    for matrix in range(tl.program_id(0), batch, tl.num_programs(0)):
        at = tl.cast(matrix, tl.int64)
        a = A + at * stride_batch
        norm = norm_of_tiles(a, n, stride_row, stride_column, strips, ORDER, STRIP, ANEW)
        scaled_into(home, a, reciprocal(norm), n, stride_row, stride_column, strips, ORDER, STRIP, ANEW)
        run_phases(home, operands, factors, phases, n, ORDER, BLOCK, TILES, BLOCK_K, False, OPERAND, PRECISION)
        scaled_out(
            D + at * n * n, home + answer * (ORDER * ORDER), reciprocal(tl.sqrt(norm)), n, strips, ORDER, STRIP, ANEW
        )
        tl.debug_barrier()


def configuration(n: int, multiplication: Multiplication, *, adjoint: bool = False) -> Configuration:
    """That of order n. With strips of more rows, and other warps or stages, registers spill on some device."""
    ieee = multiplication.kind == "ieee"
    if n <= 32:
        tiles, warps, stages = {"ORDER": 32, "STRIP": 32, "BLOCK": 32, "TILES": 1, "BLOCK_K": 32}, 4, 2
    elif n <= LARGEST_TILE:
        tiles = {"ORDER": 64, "STRIP": 32, "BLOCK": 64, "TILES": 1, "BLOCK_K": 16}
        warps, stages = (8, 3 if adjoint else 2) if ieee else (4, 4)
    else:
        strip, block_k = (8, 16) if ieee and adjoint else (16, 32)
        tiles = {"ORDER": 128, "STRIP": strip, "BLOCK": 64, "TILES": 3, "BLOCK_K": block_k}
        warps, stages = 4, 3
    # where Triton 3.6 spills in loops without it; in others Triton 3.7 does with it
    anew = not ieee and (adjoint or (n > LARGEST_TILE and multiplication.kind == "tf32x3"))
    return Configuration({**tiles, "ANEW": anew, **multiplication.constants}, warps, stages)


def slots(batch: int, device: torch.device) -> int:
    """Programs of the grid: no more than matrices, and two for each multiprocessor."""
    return min(batch, 2 * multiprocessors(device))


def run(A: Tensor, schedule: Schedule, precision: str) -> Tensor:
    """D of the matrices A, (batch, n, n), any strides."""
    batch, n = A.shape[0], A.shape[-1]
    chosen = configuration(n, Multiplication(A.dtype, precision))
    order, programs = chosen.constants["ORDER"], slots(batch, A.device)
    D = torch.empty((batch, n, n), dtype=A.dtype, device=A.device)
    scratch = torch.empty((programs, schedule.buffers, order, order), dtype=torch.float32, device=A.device)
    sizes = schedule.buffers, schedule.answer, len(schedule.phases), order // chosen.constants["STRIP"], n, batch
    steps_in_scratch[(programs,)](A, D, scratch, *tables(schedule, A.device), *sizes, *A.stride(), **chosen.options())
    return D


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    for multiplication in MULTIPLICATIONS:
        for n in (64, 128):
            yield Variant(
                name=f"newton_schulz.scratch/{n}/{multiplication.name}",
                kernel=steps_in_scratch,
                signature={
                    "A": multiplication.pointer,
                    "D": multiplication.pointer,
                    "scratch": "*fp32",
                    "operands": "*i32",
                    "factors": "*fp32",
                    **dict.fromkeys(("buffers", "answer", "phases", "strips", "n", "batch"), "i32"),
                    **dict.fromkeys(("stride_batch", "stride_row", "stride_column"), "i64"),
                },
                configuration=configuration(n, multiplication),
                precision=multiplication.kind,
                vendors=multiplication.vendors,
                barriers=BARRIERS,
            )
