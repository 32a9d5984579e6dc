"""T steps of the product form, and their gradient, for orders beyond 64: products on tiles, factors by the vendor.

A step of the map is a Cholesky factorisation and a triangular solve, batched and in float64 as the error of the method
is all in the inverse, and two launches of tiles: R_k with M_{k+1}, and Z_{k+1}. Z_k and R_k are rational functions of
A, so every product is symmetric but for rounding and only its lower triangle is computed.

The gradient reverses the steps by the formulas of `sweep_adjoint`, in three launches of tiles each: Rbar with Zbar, the
product R Rbar + nu I, and Mbar. It takes the iterates that the map has kept: 3 T P^2 numbers a matrix, written and read
in microseconds, where computing them again would repeat T factorisations, whose steps wait for one another.

Nothing is copied to the host: a factorisation that breaks down makes mu NaN, and with it all that follows of just that
matrix.
"""

from functools import partial

import torch
from torch import Tensor

from ndbench.kernels.denman_beavers import inverse_product, tile_product
from ndbench.kernels.denman_beavers.tiles import padded_order


def run(A: Tensor, steps: int, scaled_steps: int, *, keep: bool, precision: str) -> tuple[Tensor, ...]:
    """D of the float32 matrices A, (batch, n, n), any strides; to be kept for the gradient also iterates and scales.

    Returns:
        D; with `keep` also Z_k, R_k and M_k, padded, (T + 1, 3, batch, P, P), the last of no use, and mu_k, (T, batch).
    """
    batch, n = A.shape[0], A.shape[-1]
    P = padded_order(n)
    iterates = A.new_empty((steps + 1 if keep else 2, 3, batch, P, P))
    scales = A.new_empty((steps, batch))
    V = A.new_zeros((batch, P, P))
    iterates[0].zero_()
    iterates[0, 0, :, :n, :n].diagonal(dim1=-2, dim2=-1).fill_(1)
    iterates[0, 2, :, :n, :n] = A
    for k in range(steps):
        (Z, R, M), (next_Z, _, next_M) = iterates[k % len(iterates)], iterates[(k + 1) % len(iterates)]
        scales[k] = _factor(M[:, :n, :n], V[:, :n, :n], scaled=k < scaled_steps)
        inverse_product.run(V, M, scales[k], R, next_M, n, precision)
        half = scales[k] / 2
        tile_product.run("symmetric", Z, R, Z, next_Z, alpha=half, beta=half, precision=precision)
    D = iterates[steps % len(iterates), 0, :, :n, :n].contiguous()
    return (D, iterates, scales) if keep else (D,)


def pull_back(G: Tensor, iterates: Tensor, scales: Tensor, scaled_steps: int, precision: str) -> Tensor:
    """The gradient from G, (batch, n, n), any strides, where `run` has kept iterates and scales."""
    (steps, batch), n, P = scales.shape, G.shape[-1], iterates.shape[-1]
    half, square = scales / 2, scales**2
    alphas = torch.stack([torch.full_like(half, 0.25), half], dim=1)
    betas = torch.stack([half, half], dim=1)
    ones = torch.ones_like(half[0])
    eye = torch.eye(P, dtype=G.dtype, device=G.device)
    # Mbar and Zbar of a step, and Rbar and Zbar of the one before
    bars, reversed_bars = G.new_zeros((2, batch, P, P)), G.new_empty((2, batch, P, P))
    bars[1, :, :n, :n] = (G + G.mT) / 2
    RRbar = G.new_empty((batch, P, P))
    multiply = partial(tile_product.run, precision=precision)
    for k in range(steps - 1, -1, -1):
        Z, R, M = iterates[k]
        multiply("both", bars[1], iterates[k, :2], bars, reversed_bars, alpha=alphas[k], beta=betas[k])
        nu = torch.zeros_like(ones)
        if k < scaled_steps:
            parts = inner(reversed_bars[1], Z) - 2 * inner(reversed_bars[0], R) + square[k] / 2 * inner(bars[0], M)
            nu = parts / (2 * n)
        multiply("plain", R, reversed_bars[0], eye, RRbar, alpha=nu, beta=ones)
        multiply("symmetric", RRbar, R, bars[0], reversed_bars[0], alpha=square[k] / 4, beta=-square[k])
        bars, reversed_bars = reversed_bars, bars
    return bars[0, :, :n, :n].contiguous()


def inner(X: Tensor, Y: Tensor) -> Tensor:
    """<X, Y> of every matrix, shape (batch,)."""
    return (X * Y).sum(dim=(-2, -1))


def _factor(M: Tensor, V: Tensor, *, scaled: bool) -> Tensor:
    """V <- L^-T / mu with M = L L^T, and mu = det(M)^(-1/(2n)) or 1, (batch,), NaN where M is not definite."""
    L, failed = torch.linalg.cholesky_ex(M.double())
    log_mu = -L.diagonal(dim1=-2, dim2=-1).log().mean(dim=-1)
    mu = log_mu.exp() if scaled else torch.ones_like(log_mu)
    mu = torch.where(failed == 0, mu, torch.nan)
    inverse = torch.linalg.solve_triangular(L, torch.eye(len(L[0]), dtype=L.dtype, device=L.device), upper=False)
    torch.div(inverse.mT, mu[:, None, None], out=V)
    return mu
