"""T steps of the product form for orders up to 64: one launch, a matrix a program, everything in registers.

With M_0 = A, Z_0 = I and mu_k = det(M_k)^(-1/(2n)) in the first `scaled_steps` steps, 1 after,

    R_k = mu_k^-2 M_k^-1,    Z_{k+1} = mu_k (Z_k + Z_k R_k) / 2,    M_{k+1} = (I + (mu_k^2 M_k + R_k) / 2) / 2.

M_k is inverted in place by symmetric Gauss-Jordan elimination, one row at a time, whose pivots multiply to the
determinant. Nearly all of the method's error comes from the inverse, so the elimination is in float64; the iterates and
the product are in float32. The product is a tenth of the work, so tensor cores would gain nothing.

A pivot that is not positive shows that M_k is not definite to working precision: mu_k becomes NaN, and with it D.

References:
    Higham, Functions of Matrices, SIAM 2008, section 6.3, equation (6.29).
    Goodnight, A tutorial on the SWEEP operator, The American Statistician 33, 1979.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.denman_beavers.tiles import padded_order
from ndbench.kernels.product import product
from ndbench.kernels.runtime import on_amd
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant

LARGEST_ORDER = 64


@triton.jit
def negative_inverse(M, n, BLOCK: tl.constexpr):
    """-M^-1 in float64, and the pivots; M is zero outside its leading n rows and columns.

    The step with pivot d in row k replaces every other entry w_ij by w_ij - w_ik w_kj / d, row and column k by
    themselves over d, and d by -1 / d. A minus one in place of the pivot makes all of them one outer product. The
    matrix stays symmetric to the last bit, so its row serves as its column.
    """
    index = tl.arange(0, BLOCK)
    row, column = index[:, None], index[None, :]
    W = M.to(tl.float64)
    pivots = tl.full((BLOCK,), 1.0, tl.float64)
    for k in range(n):
        here = index == k
        pivot_row = tl.sum(tl.where(row == k, W, 0.0), axis=0)
        pivot = tl.sum(tl.where(here, pivot_row, 0.0), axis=0)
        pivots = tl.where(here, pivot, pivots)
        pivot_row = tl.where(here, -1.0, pivot_row)
        kept = tl.where((row == k) | (column == k), 0.0, W)
        W = kept - (pivot_row[:, None] * pivot_row[None, :]) * (1.0 / pivot)
    return W, pivots


@triton.jit
def scaled_inverse(M, n, scaled, BLOCK: tl.constexpr):
    """R = mu^-2 M^-1 in float64 and mu, which is NaN unless all pivots are positive."""
    W, pivots = negative_inverse(M, n, BLOCK)
    logarithms = tl.log(tl.where(pivots > 0, pivots, float("nan")))
    log_mu = -tl.sum(logarithms, axis=0) / (2 * n)
    # a lost matrix is NaN in unscaled steps too
    mu = tl.exp(tl.where(scaled, log_mu, 0.0 * log_mu))
    return W * (-1.0 / (mu * mu)), mu


@triton.jit
def stepped(M, Z, R, ZR, mu, eye):
    """The next M and Z in float32, ZR being the product of Z and R."""
    following = 0.5 * eye + 0.25 * (mu * mu * M + R)
    return following.to(tl.float32), (0.5 * mu).to(tl.float32) * (Z + ZR)


@specialized_on()
def sweep_steps(
    A,
    D,
    iterates,
    scales,
    n,
    steps,
    scaled_steps,
    stride_batch: tl.int64,
    stride_row: tl.int64,
    stride_column: tl.int64,
    BLOCK: tl.constexpr,
    KEEP: tl.constexpr,
):
    """One matrix a program; D, iterates (T, 3, batch, BLOCK, BLOCK) and scales (T, batch) are contiguous."""
    # 64-bit: batch * n * n and strides may pass 2**31
    matrix, batch = tl.program_id(0).to(tl.int64), tl.num_programs(0).to(tl.int64)
    row, column = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    inside = (row < n) & (column < n)
    entries = A + matrix * stride_batch + row.to(tl.int64) * stride_row + column.to(tl.int64) * stride_column
    M = tl.load(entries, mask=inside, other=0)
    eye = tl.where((row == column) & inside, 1.0, 0.0)
    Z = eye
    size: tl.constexpr = BLOCK * BLOCK
    for step in range(steps):
        R, mu = scaled_inverse(M, n, step < scaled_steps, BLOCK)
        R = R.to(tl.float32)
        if KEEP:
            kept = iterates + (3 * step * batch + matrix) * size + row * BLOCK + column
            tl.store(kept, Z)
            tl.store(kept + batch * size, R)
            tl.store(kept + 2 * batch * size, M)
            tl.store(scales + step * batch + matrix, mu)
        M, Z = stepped(M, Z, R, product(Z, R, tl.float32, "ieee"), mu, eye)
    tl.store(D + matrix * n * n + row * n + column, Z, mask=inside)


def configuration(n: int, *, keep: bool, amd: bool) -> Configuration:
    """That of order n."""
    block = padded_order(n)
    return Configuration({"BLOCK": block, "KEEP": keep}, warps_of(block, amd=amd))


def warps_of(block: int, *, amd: bool) -> int:
    """Eight entries of each matrix a thread; AMD's warps have 64 threads."""
    return max(1, block**2 // 8 // (64 if amd else 32))


def run(A: Tensor, steps: int, scaled_steps: int, *, keep: bool) -> tuple[Tensor, ...]:
    """D of the float32 matrices A, (batch, n, n), any strides; to be kept for the gradient also iterates and scales.

    Returns:
        D; with `keep` also Z_k, R_k and M_k, padded, (T, 3, batch, P, P), and mu_k, (T, batch).
    """
    batch, n = A.shape[0], A.shape[-1]
    P = padded_order(n)
    D = torch.empty((batch, n, n), dtype=A.dtype, device=A.device)
    kept = (D.new_empty((steps, 3, batch, P, P)), D.new_empty((steps, batch))) if keep else ()
    options = configuration(n, keep=keep, amd=on_amd()).options()
    sweep_steps[(batch,)](A, D, *(kept or (D, D)), n, steps, scaled_steps, *A.stride(), **options)
    return D, *kept


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    signature = {
        **dict.fromkeys(("A", "D", "iterates", "scales"), "*fp32"),
        **dict.fromkeys(("n", "steps", "scaled_steps"), "i32"),
        **dict.fromkeys(("stride_batch", "stride_row", "stride_column"), "i64"),
    }
    for n in (16, 32, 64):
        for keep in (False, True):
            for vendor in ("nvidia", "amd"):
                yield Variant(
                    name=f"denman_beavers.sweep/{n}/{'kept' if keep else 'answer'}/{vendor}",
                    kernel=sweep_steps,
                    signature=signature,
                    configuration=configuration(n, keep=keep, amd=vendor == "amd"),
                    precision="ieee",
                    vendors=(vendor,),
                )
