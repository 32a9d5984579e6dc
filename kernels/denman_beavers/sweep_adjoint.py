"""The gradient of T steps of the product form for orders up to 32: one launch, a matrix a program, in registers.

From Zbar_T = sym(G) and Mbar_T = 0, exactly T steps are taken back, with primes for what belongs to step k + 1:

    Rbar = mu sym(Zbar' Z) / 2 + Mbar' / 4,    Zbar = mu (Zbar' + sym(Zbar' R)) / 2,
    Mbar = mu^2 (Mbar' / 4 - (R Rbar + nu I) R),
    nu = (<Zbar, Z> - 2 <Rbar, R> + mu^2 <Mbar', M> / 2) / (2n) in scaled steps, 0 in the others.

References:
    `ndbench.roots.adjoints.product_form.ProductForm.pull_back`, where M^-1 = mu^2 R.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.denman_beavers.sweep import warps_of
from ndbench.kernels.denman_beavers.tiles import padded_order
from ndbench.kernels.product import product
from ndbench.kernels.runtime import on_amd
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant

LARGEST_ORDER = 32


@triton.jit
def multiplied(X, Y):
    """X Y in float32."""
    return product(X, Y, tl.float32, "ieee")


@triton.jit
def symmetric(X):
    """(X + X^T) / 2."""
    return 0.5 * (X + tl.trans(X))


@specialized_on()
def sweep_reversed(
    G,
    iterates,
    scales,
    Abar,
    n,
    steps,
    scaled_steps,
    stride_batch: tl.int64,
    stride_row: tl.int64,
    stride_column: tl.int64,
    BLOCK: tl.constexpr,
):
    """One matrix a program; iterates are (T, 3, batch, BLOCK, BLOCK), scales (T, batch), Abar (batch, n, n)."""
    # 64-bit: batch * n * n and strides may pass 2**31
    matrix, batch = tl.program_id(0).to(tl.int64), tl.num_programs(0).to(tl.int64)
    row, column = tl.arange(0, BLOCK)[:, None], tl.arange(0, BLOCK)[None, :]
    inside = (row < n) & (column < n)
    eye = tl.where((row == column) & inside, 1.0, 0.0)
    entries = G + matrix * stride_batch + row.to(tl.int64) * stride_row + column.to(tl.int64) * stride_column
    Zbar = symmetric(tl.load(entries, mask=inside, other=0))
    Mbar = tl.zeros((BLOCK, BLOCK), tl.float32)
    size: tl.constexpr = BLOCK * BLOCK
    for back in range(steps):
        step = steps - 1 - back
        kept = iterates + (3 * step * batch + matrix) * size + row * BLOCK + column
        mu = tl.load(scales + step * batch + matrix)
        Z, R, M = tl.load(kept), tl.load(kept + batch * size), tl.load(kept + 2 * batch * size)
        Rbar = 0.5 * mu * symmetric(multiplied(Zbar, Z)) + 0.25 * Mbar
        Zbar = 0.5 * mu * (Zbar + symmetric(multiplied(Zbar, R)))
        parts = Zbar * Z - 2 * Rbar * R + 0.5 * mu * mu * Mbar * M
        nu = tl.where(step < scaled_steps, tl.sum(tl.sum(parts, axis=1), axis=0) / (2 * n), 0.0)
        Mbar = mu * mu * (0.25 * Mbar - multiplied(multiplied(R, Rbar) + nu * eye, R))
    tl.store(Abar + matrix * n * n + row * n + column, symmetric(Mbar), mask=inside)


def configuration(n: int, *, amd: bool) -> Configuration:
    """That of order n."""
    block = padded_order(n)
    # one warp of 32 threads has too few registers for order 16
    return Configuration({"BLOCK": block}, max(1 if amd else 2, warps_of(block, amd=amd)))


def run(G: Tensor, iterates: Tensor, scales: Tensor, scaled_steps: int) -> Tensor:
    """The gradient from G, (batch, n, n), any strides, where `sweep.run` has kept iterates and scales."""
    batch, n = G.shape[0], G.shape[-1]
    Abar = torch.empty((batch, n, n), dtype=G.dtype, device=G.device)
    options = configuration(n, amd=on_amd()).options()
    sweep_reversed[(batch,)](G, iterates, scales, Abar, n, len(scales), scaled_steps, *G.stride(), **options)
    return Abar


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    signature = {
        **dict.fromkeys(("G", "iterates", "scales", "Abar"), "*fp32"),
        **dict.fromkeys(("n", "steps", "scaled_steps"), "i32"),
        **dict.fromkeys(("stride_batch", "stride_row", "stride_column"), "i64"),
    }
    for n in (16, 32):
        for vendor in ("nvidia", "amd"):
            yield Variant(
                name=f"denman_beavers.sweep_adjoint/{n}/{vendor}",
                kernel=sweep_reversed,
                signature=signature,
                configuration=configuration(n, amd=vendor == "amd"),
                precision="ieee",
                vendors=(vendor,),
            )
