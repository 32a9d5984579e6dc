"""T steps for orders up to 32: one launch, a matrix a program, iterates in registers.

The forms are those of `schedule`, with the first step's Z_1 = a I + b M_0 free and the last M left out:

    cubic:    W = a M + b M M,           M <- a W + b W M,    Z <- a Z + b Z M (M and a, b of the next step)
    quintic:  H = a I + b M + c M M,     M <- (H M) H,        Z <- Z H
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.newton_schulz.multiplication import MULTIPLICATIONS, Multiplication
from ndbench.kernels.newton_schulz.symmetric import entries, reciprocal, symmetric_entries
from ndbench.kernels.product import product
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant

LARGEST_ORDER = 32


@triton.jit
def norm_of(A, rows, columns, n, stride_row, stride_column):
    """||A||_F in float64, which holds every square of a float32."""
    x = entries(A, rows, columns, n, stride_row, stride_column)
    return tl.sqrt(tl.sum(tl.sum(x * x, axis=1), axis=0))


@triton.jit
def cubic_step(M, a, b, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """M (a I + b M)^2."""
    W = a * M + b * product(M, M, OPERAND, PRECISION)
    return a * W + b * product(W, M, OPERAND, PRECISION)


@triton.jit
def quadratic(M, eye, coefficients, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """The polynomial a I + b M + c M M, its coefficients read from a row of the table."""
    a, b, c = tl.load(coefficients), tl.load(coefficients + 1), tl.load(coefficients + 2)
    return a * eye + b * M + c * product(M, M, OPERAND, PRECISION)


@specialized_on()
def steps_in_registers(
    A,
    D,
    coefficients,
    n,
    steps,
    stride_batch: tl.int64,
    stride_row: tl.int64,
    stride_column: tl.int64,
    BLOCK: tl.constexpr,
    QUINTIC: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One matrix a program; D is contiguous, coefficients is (steps, 3)."""
    # 64-bit: batch * n * n and strides may pass 2**31
    matrix = tl.program_id(0).to(tl.int64)
    rows, columns = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    A += matrix * stride_batch
    norm = norm_of(A, rows, columns, n, stride_row, stride_column)
    M = (symmetric_entries(A, rows, columns, n, stride_row, stride_column) * reciprocal(norm)).to(tl.float32)
    eye = tl.where((rows == columns) & (rows < n), 1.0, 0.0)
    if QUINTIC:
        H = quadratic(M, eye, coefficients, OPERAND, PRECISION)
        # H where it is not zero anyway: AMD's compiler fails on two loop variables that begin as the same value
        Z = tl.where((rows < n) & (columns < n), H, 0.0)
        for step in range(1, steps):
            M = product(product(H, M, OPERAND, PRECISION), H, OPERAND, PRECISION)
            H = quadratic(M, eye, coefficients + 3 * step, OPERAND, PRECISION)
            Z = product(Z, H, OPERAND, PRECISION)
    else:
        a, b = tl.load(coefficients), tl.load(coefficients + 1)
        Z = a * eye + b * M
        for step in range(1, steps):
            M = cubic_step(M, a, b, OPERAND, PRECISION)
            a, b = tl.load(coefficients + 3 * step), tl.load(coefficients + 3 * step + 1)
            Z = a * Z + b * product(Z, M, OPERAND, PRECISION)
    answer = Z.to(tl.float64) * reciprocal(tl.sqrt(norm))
    tl.store(D + matrix * n * n + rows * n + columns, answer.to(D.dtype.element_ty), mask=(rows < n) & (columns < n))


def configuration(n: int, multiplication: Multiplication, *, quintic: bool) -> Configuration:
    """That of order n."""
    block = 16 if n <= 16 else 32
    constants = {"BLOCK": block, "QUINTIC": quintic, **multiplication.constants}
    return Configuration(constants, warps=1 if block == 16 else 2)


def run(A: Tensor, coefficients: Tensor, *, quintic: bool, precision: str) -> Tensor:
    """D of the matrices A, (batch, n, n), any strides."""
    batch, n = A.shape[0], A.shape[-1]
    D = torch.empty((batch, n, n), dtype=A.dtype, device=A.device)
    options = configuration(n, Multiplication(A.dtype, precision), quintic=quintic).options()
    steps_in_registers[(batch,)](A, D, coefficients, n, len(coefficients), *A.stride(), **options)
    return D


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    for multiplication in MULTIPLICATIONS:
        for n in (16, 32):
            for quintic in (False, True):
                yield Variant(
                    name=f"newton_schulz.small/{'quintic' if quintic else 'cubic'}/{n}/{multiplication.name}",
                    kernel=steps_in_registers,
                    signature={
                        "A": multiplication.pointer,
                        "D": multiplication.pointer,
                        "coefficients": "*fp32",
                        "n": "i32",
                        "steps": "i32",
                        **dict.fromkeys(("stride_batch", "stride_row", "stride_column"), "i64"),
                    },
                    configuration=configuration(n, multiplication, quintic=quintic),
                    precision=multiplication.kind,
                    vendors=multiplication.vendors,
                )
