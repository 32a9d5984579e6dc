"""The Denman-Beavers iteration in product form, with determinantal scaling."""

from collections.abc import Iterator

import torch
from torch import Tensor

from ndbench.roots.precision import identity_like, working_type


def denman_beavers(A: Tensor, steps: int, scaled_steps: int) -> Tensor:
    """Approximate A^(-1/2) by T steps of the product form of the Denman-Beavers iteration.

    With M_0 = A, Z_0 = I and mu_k = |det M_k|^(-1/(2n)) in the first `scaled_steps` steps, 1 after,

        Z_{k+1} = mu_k Z_k (I + mu_k^-2 M_k^-1) / 2,
        M_{k+1} = (I + (mu_k^2 M_k + mu_k^-2 M_k^-1) / 2) / 2,    Z_k -> A^(-1/2), M_k -> I.

    M_k is a rational function of A, so it is symmetric positive definite: one Cholesky factor gives its inverse and its
    determinant. Half types are computed in float32 and rounded once.

    Args:
        A: symmetric positive definite, shape (..., n, n).
        steps: iterations T, at least 1.
        scaled_steps: steps with determinantal scaling, 0 to T.

    References:
        Denman and Beavers, The matrix sign function and computations in systems, 1976.
        Higham, Functions of Matrices, SIAM 2008, section 6.3, equation (6.29).
    """
    M = A.to(working_type(A.dtype))
    Z = identity_like(M).expand_as(M)
    for k in range(steps):
        M, Z = _step(M, Z, scaled=k < scaled_steps)
    return Z.to(A.dtype)


def denman_beavers_iterates(A: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (Z_k, M_k) for k = 0, 1, ... without end, every step scaled; the second tends to I."""
    M = A.to(working_type(A.dtype))
    Z = identity_like(M).expand_as(M)
    while True:
        yield Z.to(A.dtype), M
        M, Z = _step(M, Z, scaled=True)


def _step(M: Tensor, Z: Tensor, *, scaled: bool) -> tuple[Tensor, Tensor]:
    eye = identity_like(M)
    inverse, mu = _inverse_and_scale(M)
    if not scaled:
        mu = torch.ones_like(mu)
    inverse = inverse / mu**2
    return (eye + (mu**2 * M + inverse) / 2) / 2, mu * (Z + Z @ inverse) / 2


def _inverse_and_scale(M: Tensor) -> tuple[Tensor, Tensor]:
    """M^-1, and mu = det(M)^(-1/(2n)) of shape (..., 1, 1): log det M = 2 sum log diag L, L the Cholesky factor."""
    L, failed = torch.linalg.cholesky_ex(M)
    log_mu = -L.diagonal(dim1=-2, dim2=-1).log().mean(dim=-1)[..., None, None]
    definite = (failed == 0)[..., None, None]
    # a factorisation that broke down leaves finite rubbish: it must not pass for an answer
    return torch.where(definite, torch.cholesky_inverse(L), torch.nan), log_mu.exp()
