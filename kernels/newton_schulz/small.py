"""T steps of a polynomial iteration for orders up to 32: one launch, a matrix a program, iterates in registers.

The coupled iteration of commuting iterates, with M_0 = A / ||A||_F and every product taken with a polynomial of M on
the right (docs/kernels.md says why just this form is stable):

    cubic:    W = a M + b M M,           M <- a W + b W M,    Z <- a Z + b Z M (the old M)
    quintic:  H = a I + b M + c M M,     M <- (H M) H,        Z <- Z H
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.precision import PRECISIONS
from ndbench.kernels.product import product
from ndbench.kernels.variant import TRITON_TYPES, Configuration, Variant

LARGEST_ORDER = 32


@triton.jit
def steps_in_registers(
    A,
    D,
    coefficients,
    n,
    steps,
    stride_batch,
    stride_row,
    stride_column,
    BLOCK: tl.constexpr,
    QUINTIC: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One matrix a program; D is contiguous, coefficients is (steps, 3)."""
    # 64-bit: batch * n * n and strides may pass 2**31
    matrix = tl.program_id(0).to(tl.int64)
    row, column = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    inside = (row < n) & (column < n)
    entries = A + matrix * stride_batch + row.to(tl.int64) * stride_row + column.to(tl.int64) * stride_column
    exact = tl.load(entries, mask=inside, other=0).to(tl.float64)
    norm = tl.sqrt(tl.sum(tl.sum(exact * exact, axis=1), axis=0))
    M = (exact / norm).to(tl.float32)
    eye = tl.where((row == column) & inside, 1.0, 0.0)
    Z = eye
    for step in range(steps):
        a = tl.load(coefficients + 3 * step)
        b = tl.load(coefficients + 3 * step + 1)
        if QUINTIC:
            c = tl.load(coefficients + 3 * step + 2)
            H = a * eye + b * M + c * product(M, M, OPERAND, PRECISION)
            Z = product(Z, H, OPERAND, PRECISION)
            M = product(product(H, M, OPERAND, PRECISION), H, OPERAND, PRECISION)
        else:
            Z = a * Z + b * product(Z, M, OPERAND, PRECISION)
            W = a * M + b * product(M, M, OPERAND, PRECISION)
            M = a * W + b * product(W, M, OPERAND, PRECISION)
    answer = (Z.to(tl.float64) / tl.sqrt(norm)).to(D.dtype.element_ty)
    tl.store(D + matrix * n * n + row * n + column, answer, mask=inside)


def configuration(n: int, *, quintic: bool, dtype: torch.dtype, precision: str) -> Configuration:
    """That of order n."""
    block = 16 if n <= 16 else 32
    constants = {
        "BLOCK": block,
        "QUINTIC": quintic,
        "OPERAND": getattr(tl, {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}[TRITON_TYPES[dtype]]),
        "PRECISION": precision,
    }
    return Configuration(constants, warps=1 if block == 16 else 2)


def run(A: Tensor, coefficients: Tensor, *, quintic: bool, precision: str) -> Tensor:
    """D of the matrices A, (batch, n, n), any strides."""
    batch, n = A.shape[0], A.shape[-1]
    D = torch.empty((batch, n, n), dtype=A.dtype, device=A.device)
    options = configuration(n, quintic=quintic, dtype=A.dtype, precision=precision).options()
    steps_in_registers[(batch,)](A, D, coefficients, n, len(coefficients), *A.stride(), **options)
    return D


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    cases = [(torch.float32, precision) for precision in PRECISIONS]
    for dtype, precision in [*cases, (torch.float16, "ieee"), (torch.bfloat16, "ieee")]:
        element = TRITON_TYPES[dtype]
        signature = {
            "A": f"*{element}",
            "D": f"*{element}",
            "coefficients": "*fp32",
            "n": "i32",
            "steps": "i32",
            **dict.fromkeys(("stride_batch", "stride_row", "stride_column"), "i64"),
        }
        for n in (16, 32):
            for quintic in (False, True):
                shown = precision if dtype == torch.float32 else element
                yield Variant(
                    name=f"newton_schulz.small/{'quintic' if quintic else 'cubic'}/{n}/{shown}",
                    kernel=steps_in_registers,
                    signature=signature,
                    configuration=configuration(n, quintic=quintic, dtype=dtype, precision=precision),
                    precision=precision if dtype == torch.float32 else "half",
                    vendors=("nvidia", "amd") if precision == "ieee" else ("nvidia",),
                )
