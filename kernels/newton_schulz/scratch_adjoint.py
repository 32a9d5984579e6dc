"""The adjoint of T steps for orders up to 128: the tangent in direction sym(G), as `scratch` runs the steps.

With B = A / c, c = ||A||_F, E = sym(G) / g, g = ||G||_F, and dZ the tangent of Z_T at B in direction E,

    dA = (dZ - [<dZ, B> + <E, Z_T> / 2] B) g / c^(3/2).

Since D = Z_T(A / c) / sqrt(c) and the derivative of Z_T is self-adjoint, this is the gradient. Scaling by g, undone at
the end because the adjoint is linear in G, keeps half types from overflowing.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.newton_schulz import small_adjoint
from ndbench.kernels.newton_schulz.multiplication import MULTIPLICATIONS, Multiplication
from ndbench.kernels.newton_schulz.schedule import Schedule, tables
from ndbench.kernels.newton_schulz.scratch import (
    BARRIERS,
    configuration,
    norm_of_tiles,
    run_phases,
    scaled_into,
    slots,
    strip_of,
)
from ndbench.kernels.newton_schulz.symmetric import reciprocal
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Variant


@triton.jit
def lost_to_the_norm(B, E, Z, dZ, strips, ORDER: tl.constexpr, STRIP: tl.constexpr, ANEW: tl.constexpr):
    """<dZ, B> + <E, Z> / 2 in float64, in a fixed order."""
    lost = tl.zeros((), dtype=tl.float64)
    for strip in range(strips):
        rows, columns = strip_of(strip, ORDER, STRIP, ANEW)
        at = rows * ORDER + columns
        x = tl.load(dZ + at).to(tl.float64) * tl.load(B + at) + tl.load(E + at).to(tl.float64) * tl.load(Z + at) * 0.5
        lost += tl.sum(tl.sum(x, axis=1), axis=0)
    return lost


@specialized_on()
def adjoint_in_scratch(
    A,
    G,
    dA,
    scratch,
    operands,
    factors,
    buffers,
    answer,
    phases,
    strips,
    n,
    batch,
    a_batch: tl.int64,
    a_row: tl.int64,
    a_column: tl.int64,
    g_batch: tl.int64,
    g_row: tl.int64,
    g_column: tl.int64,
    ORDER: tl.constexpr,
    STRIP: tl.constexpr,
    ANEW: tl.constexpr,
    BLOCK: tl.constexpr,
    TILES: tl.constexpr,
    BLOCK_K: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """The gradient of every matrix of one slot; dA is contiguous, scratch is (slots, buffers, ORDER, ORDER)."""
    # 64-bit: batch * n * n and strides may pass 2**31
    home = tl.multiple_of(scratch + tl.program_id(0).to(tl.int64) * buffers * (ORDER * ORDER), 16)
    for matrix in range(tl.program_id(0), batch, tl.num_programs(0)):
        at = tl.cast(matrix, tl.int64)
        E = home + ORDER * ORDER
        c = norm_of_tiles(A + at * a_batch, n, a_row, a_column, strips, ORDER, STRIP, ANEW)
        scaled_into(home, A + at * a_batch, reciprocal(c), n, a_row, a_column, strips, ORDER, STRIP, ANEW)
        g = norm_of_tiles(G + at * g_batch, n, g_row, g_column, strips, ORDER, STRIP, ANEW)
        scaled_into(E, G + at * g_batch, reciprocal(g), n, g_row, g_column, strips, ORDER, STRIP, ANEW)
        run_phases(home, operands, factors, phases, n, ORDER, BLOCK, TILES, BLOCK_K, TILES == 1, OPERAND, PRECISION)
        Z = home + answer * (ORDER * ORDER)
        dZ = Z + ORDER * ORDER
        lost = lost_to_the_norm(home, E, Z, dZ, strips, ORDER, STRIP, ANEW)
        scale = g * reciprocal(c * tl.sqrt(c))
        out = dA + at * n * n
        for strip in range(strips):
            rows, columns = strip_of(strip, ORDER, STRIP, ANEW)
            offsets = rows * ORDER + columns
            gradient = (tl.load(dZ + offsets) - lost * tl.load(home + offsets)) * scale
            tl.store(out + rows * n + columns, gradient.to(dA.dtype.element_ty), mask=(rows < n) & (columns < n))
        tl.debug_barrier()


def run(A: Tensor, G: Tensor, schedule: Schedule, precision: str) -> Tensor:
    """The gradient dA from A and G, (batch, n, n), any strides; the schedule is a tangent's."""
    batch, n = A.shape[0], A.shape[-1]
    chosen = configuration(n, Multiplication(A.dtype, precision), adjoint=True)
    order, programs = chosen.constants["ORDER"], slots(batch, A.device)
    dA = torch.empty((batch, n, n), dtype=A.dtype, device=A.device)
    scratch = torch.empty((programs, schedule.buffers, order, order), dtype=torch.float32, device=A.device)
    sizes = schedule.buffers, schedule.answer, len(schedule.phases), order // chosen.constants["STRIP"], n, batch
    adjoint_in_scratch[(programs,)](
        A, G, dA, scratch, *tables(schedule, A.device), *sizes, *A.stride(), *G.stride(), **chosen.options()
    )
    return dA


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    for multiplication in MULTIPLICATIONS:
        # orders up to 32 where registers do not hold them
        for n in (64, 128) if small_adjoint.fits(multiplication.precision) else (32, 64, 128):
            yield Variant(
                name=f"newton_schulz.scratch_adjoint/{n}/{multiplication.name}",
                kernel=adjoint_in_scratch,
                signature={
                    **dict.fromkeys(("A", "G", "dA"), multiplication.pointer),
                    "scratch": "*fp32",
                    "operands": "*i32",
                    "factors": "*fp32",
                    **dict.fromkeys(("buffers", "answer", "phases", "strips", "n", "batch"), "i32"),
                    **dict.fromkeys((f"{x}_{axis}" for x in "ag" for axis in ("batch", "row", "column")), "i64"),
                },
                configuration=configuration(n, multiplication, adjoint=True),
                precision=multiplication.kind,
                vendors=multiplication.vendors,
                barriers=BARRIERS,
            )
