"""From the last iterates of large matrices to D, and to the gradient dA."""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.newton_schulz.symmetric import reciprocal
from ndbench.kernels.newton_schulz.tiled_scaling import PARTS, STRIP, total
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import TRITON_TYPES, Configuration, Variant

ANSWER = {"PARTS": PARTS, "ROWS": 16, "COLUMNS": 64}


@specialized_on("ld")
def add_lost(
    scratch,
    partial,
    parts,
    buffers,
    answer,
    n,
    ld: tl.int64,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """Parts of <dZ, B> + <E, Z> / 2 in float64; B, E are in buffers 0, 1 and Z, dZ in `answer` and the next one."""
    matrix = tl.program_id(1).to(tl.int64)
    B = tl.multiple_of(scratch + matrix * buffers * ld * ld, 16)
    E = B + ld * ld
    Z = B + answer * ld * ld
    dZ = Z + ld * ld
    sums = tl.zeros((ROWS, COLUMNS), dtype=tl.float64)
    for first_row in range(tl.program_id(0) * ROWS, n, parts * ROWS):
        for first_column in range(0, n, COLUMNS):
            rows = first_row + tl.arange(0, ROWS)[:, None]
            columns = first_column + tl.arange(0, COLUMNS)[None, :]
            inside = (rows < n) & (columns < n)
            at = rows * ld + columns
            sums += tl.load(dZ + at, mask=inside, other=0).to(tl.float64) * tl.load(B + at, mask=inside, other=0)
            sums += tl.load(E + at, mask=inside, other=0).to(tl.float64) * tl.load(Z + at, mask=inside, other=0) * 0.5
    tl.store(partial + matrix * parts + tl.program_id(0), tl.sum(tl.sum(sums, axis=1), axis=0))


@specialized_on("ld")
def write_answers(
    scratch,
    A_squares,
    G_squares,
    lost,
    out,
    parts,
    buffers,
    answer,
    n,
    ld: tl.int64,
    ADJOINT: tl.constexpr,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """D = Z / sqrt(c), or dA = (dZ - lost B) g / c^(3/2); out is contiguous."""
    # 64-bit: batch * n * n may pass 2**31
    matrix = tl.program_id(2).to(tl.int64)
    rows = tl.program_id(0).to(tl.int64) * ROWS + tl.arange(0, ROWS)[:, None]
    columns = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)[None, :]
    inside = (rows < n) & (columns < n)
    home = tl.multiple_of(scratch + matrix * buffers * ld * ld, 16) + rows * ld + columns
    c = tl.sqrt(total(A_squares, matrix, parts, PARTS))
    if ADJOINT:
        g = tl.sqrt(total(G_squares, matrix, parts, PARTS))
        B = tl.load(home, mask=inside, other=0)
        dZ = tl.load(home + (answer + 1) * ld * ld, mask=inside, other=0)
        x = (dZ - total(lost, matrix, parts, PARTS) * B) * (g * reciprocal(c * tl.sqrt(c)))
    else:
        x = tl.load(home + answer * ld * ld, mask=inside, other=0) * reciprocal(tl.sqrt(c))
    tl.store(out + matrix * n * n + rows * n + columns, x.to(out.dtype.element_ty), mask=inside)


def write_roots(out: Tensor, scratch: Tensor, answer: int, A_squares: Tensor) -> None:
    """Out <- D; A_squares are parts of ||A||_F^2."""
    _write(out, scratch, answer, (A_squares, A_squares, A_squares), adjoint=False)


def write_gradients(out: Tensor, scratch: Tensor, answer: int, A_squares: Tensor, G_squares: Tensor) -> None:
    """Out <- dA; the squares are parts of ||A||_F^2 and ||G||_F^2."""
    batch, buffers, ld, _ = scratch.shape
    lost = torch.empty_like(A_squares)
    parts, n = lost.shape[1], out.shape[-1]
    options = Configuration(STRIP, warps=4).options()
    add_lost[(parts, batch)](scratch, lost, parts, buffers, answer, n, ld, **options)
    _write(out, scratch, answer, (A_squares, G_squares, lost), adjoint=True)


def _write(out: Tensor, scratch: Tensor, answer: int, sums: tuple[Tensor, Tensor, Tensor], *, adjoint: bool) -> None:
    batch, buffers, ld, _ = scratch.shape
    n = out.shape[-1]
    grid = triton.cdiv(n, ANSWER["ROWS"]), triton.cdiv(n, ANSWER["COLUMNS"]), batch
    options = Configuration({"ADJOINT": adjoint, **ANSWER}, warps=4).options()
    write_answers[grid](scratch, *sums, out, sums[0].shape[1], buffers, answer, n, ld, **options)


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    sizes = {**dict.fromkeys(("parts", "buffers", "answer", "n"), "i32"), "ld": "i64"}
    yield Variant(
        name="newton_schulz.tiled_answers/lost",
        kernel=add_lost,
        signature={"scratch": "*fp32", "partial": "*fp64", **sizes},
        configuration=Configuration(STRIP, warps=4),
        precision="ieee",
        products=False,
        divisible=("ld",),
    )
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        for adjoint in (False, True):
            element = TRITON_TYPES[dtype]
            sums = dict.fromkeys(("A_squares", "G_squares", "lost"), "*fp64")
            yield Variant(
                name=f"newton_schulz.tiled_answers/{'gradients' if adjoint else 'roots'}/{element}",
                kernel=write_answers,
                signature={"scratch": "*fp32", **sums, "out": f"*{element}", **sizes},
                configuration=Configuration({"ADJOINT": adjoint, **ANSWER}, warps=4),
                precision="ieee",
                products=False,
                divisible=("ld",),
            )
