"""The adjoint of T steps for orders up to 32: one launch, the tangent in direction sym(G) in registers.

What a tangent is, and how dA comes from it, `schedule` and `scratch_adjoint` say. Here a whole matrix is at hand, and
its transpose, which saves two products a step of dual numbers: with H = a I + b M + c M M and R = dM M,

    dH = b dM + c (R + R^T),    X = dH M + H dM / 2,    dM <- X H + (X H)^T,    dZ <- dZ H + Z dH,

where cubic steps need no product by H: X = a/2 dM + b (R + R^T / 2), X H = a X + b X M, and

    dZ <- a dZ + b (dZ M + Z dM): 7 products a step, 10 of a quintic one.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.newton_schulz import small
from ndbench.kernels.newton_schulz.multiplication import MULTIPLICATIONS, Multiplication
from ndbench.kernels.newton_schulz.small import cubic_step, norm_of
from ndbench.kernels.newton_schulz.symmetric import reciprocal, symmetric_entries
from ndbench.kernels.product import add_product, product
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@triton.jit
def cubic_tangent(M, dM, a, b, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """The derivative of M (a I + b M)^2 in direction dM."""
    R = product(dM, M, OPERAND, PRECISION)
    X = 0.5 * a * dM + b * (R + 0.5 * tl.trans(R))
    XH = a * X + b * product(X, M, OPERAND, PRECISION)
    return XH + tl.trans(XH)


@triton.jit
def product_tangent(X, dX, Y, dY, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """The sum dX Y + X dY."""
    return add_product(product(dX, Y, OPERAND, PRECISION), X, dY, OPERAND, PRECISION)


@triton.jit
def quadratic_pair(M, dM, eye, coefficients, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """H = a I + b M + c M M and its derivative in direction dM."""
    a, b, c = tl.load(coefficients), tl.load(coefficients + 1), tl.load(coefficients + 2)
    R = product(dM, M, OPERAND, PRECISION)
    return a * eye + b * M + c * product(M, M, OPERAND, PRECISION), b * dM + c * (R + tl.trans(R))


@specialized_on()
def adjoint_in_registers(
    A,
    G,
    dA,
    coefficients,
    n,
    steps,
    a_batch: tl.int64,
    a_row: tl.int64,
    a_column: tl.int64,
    g_batch: tl.int64,
    g_row: tl.int64,
    g_column: tl.int64,
    BLOCK: tl.constexpr,
    QUINTIC: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One matrix a program; dA is contiguous, coefficients is (steps, 3)."""
    # 64-bit: batch * n * n and strides may pass 2**31
    matrix = tl.program_id(0).to(tl.int64)
    rows, columns = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    A += matrix * a_batch
    G += matrix * g_batch
    c = norm_of(A, rows, columns, n, a_row, a_column)
    g = norm_of(G, rows, columns, n, g_row, g_column)
    B = (symmetric_entries(A, rows, columns, n, a_row, a_column) * reciprocal(c)).to(tl.float32)
    E = (symmetric_entries(G, rows, columns, n, g_row, g_column) * reciprocal(g)).to(tl.float32)
    M, dM = B, E
    eye = tl.where((rows == columns) & (rows < n), 1.0, 0.0)
    if QUINTIC:
        H, dH = quadratic_pair(M, dM, eye, coefficients, OPERAND, PRECISION)
        # H where it is not zero anyway: AMD's compiler fails on two loop variables that begin as the same value
        Z, dZ = tl.where((rows < n) & (columns < n), H, 0.0), tl.where((rows < n) & (columns < n), dH, 0.0)
        for step in range(1, steps):
            X = add_product(product(dH, M, OPERAND, PRECISION), 0.5 * H, dM, OPERAND, PRECISION)
            XH = product(X, H, OPERAND, PRECISION)
            dM = XH + tl.trans(XH)
            M = product(product(H, M, OPERAND, PRECISION), H, OPERAND, PRECISION)
            H, dH = quadratic_pair(M, dM, eye, coefficients + 3 * step, OPERAND, PRECISION)
            dZ = product_tangent(Z, dZ, H, dH, OPERAND, PRECISION)
            Z = product(Z, H, OPERAND, PRECISION)
    else:
        a, b = tl.load(coefficients), tl.load(coefficients + 1)
        Z, dZ = a * eye + b * M, b * dM
        for step in range(1, steps):
            dM = cubic_tangent(M, dM, a, b, OPERAND, PRECISION)
            M = cubic_step(M, a, b, OPERAND, PRECISION)
            a, b = tl.load(coefficients + 3 * step), tl.load(coefficients + 3 * step + 1)
            dZ = a * dZ + b * product_tangent(Z, dZ, M, dM, OPERAND, PRECISION)
            Z = a * Z + b * product(Z, M, OPERAND, PRECISION)
    lost = tl.sum(tl.sum(dZ.to(tl.float64) * B + E.to(tl.float64) * Z * 0.5, axis=1), axis=0)
    gradient = (dZ.to(tl.float64) - lost * B) * (g * reciprocal(c * tl.sqrt(c)))
    # dZ is symmetric but for rounding
    gradient = 0.5 * (gradient + tl.trans(gradient))
    offsets = matrix * n * n + rows * n + columns
    tl.store(dA + offsets, gradient.to(dA.dtype.element_ty), mask=(rows < n) & (columns < n))


def fits(precision: str) -> bool:
    """Whether the iterates and their operands fit into registers: split in two, as "tf32x3" takes them, they spill."""
    return precision != "tf32x3"


def configuration(n: int, multiplication: Multiplication, *, quintic: bool) -> Configuration:
    """That of order n."""
    steps = small.configuration(n, multiplication, quintic=quintic)
    return Configuration(steps.constants, warps=2 if n <= 16 else 8 if quintic else 4)


def run(A: Tensor, G: Tensor, coefficients: Tensor, *, quintic: bool, precision: str) -> Tensor:
    """The gradient dA from A and G, (batch, n, n), any strides."""
    batch, n = A.shape[0], A.shape[-1]
    dA = torch.empty((batch, n, n), dtype=A.dtype, device=A.device)
    options = configuration(n, Multiplication(A.dtype, precision), quintic=quintic).options()
    adjoint_in_registers[(batch,)](A, G, dA, coefficients, n, len(coefficients), *A.stride(), *G.stride(), **options)
    return dA


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    for multiplication in filter(lambda m: fits(m.precision), MULTIPLICATIONS):
        for n in (16, 32):
            for quintic in (False, True):
                yield Variant(
                    name=f"newton_schulz.small_adjoint/{'quintic' if quintic else 'cubic'}/{n}/{multiplication.name}",
                    kernel=adjoint_in_registers,
                    signature={
                        **dict.fromkeys(("A", "G", "dA"), multiplication.pointer),
                        "coefficients": "*fp32",
                        "n": "i32",
                        "steps": "i32",
                        **dict.fromkeys((f"{x}_{axis}" for x in "ag" for axis in ("batch", "row", "column")), "i64"),
                    },
                    configuration=configuration(n, multiplication, quintic=quintic),
                    precision=multiplication.kind,
                    vendors=multiplication.vendors,
                )
