"""The inverse square root itself with its adjoint: in the eigenbasis of A, and by a Lyapunov equation."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ndbench.roots.adjoints.functions import Saved, apply, in_compiled_transforms, symmetric_part, with_adjoint
from ndbench.roots.precision import identity_like, working_type

NOT_COMPILED = (
    "inverse_sqrt: method 'spectral' inside several transforms of torch.func, as grad of grad or vmap of grad, cannot "
    "be compiled; call the transforms without torch.compile, or use an iteration"
)


@dataclass(frozen=True)
class Spectral:
    """D = A^(-1/2) by eigendecomposition, with a gradient that is finite for repeated eigenvalues.

    With A = V diag(l) V^T and d = l^(-1/2), the derivative in direction E is

        L(E) = V (Phi o V^T E V) V^T,    Phi_ij = d[l_i, l_j] = -(d_i d_j)^2 / (d_i + d_j),

    and it is its own adjoint: the gradient from G is L(sym(G)). From D A D = I it is also the solution X of

        A^(1/2) X + X A^(1/2) = -D sym(G) D.

    Attributes:
        lyapunov: solve this equation, in the eigenbasis of the computed A^(1/2) = A D, rather than use Phi.

    References:
        Higham, Functions of Matrices, SIAM 2008, theorem 3.11 (Daleckii and Krein) and section 6.1.
        Ionescu, Vantzos and Sminchisescu, Matrix backpropagation for deep networks with structured layers, ICCV 2015.
        Lin and Maji, Improved bilinear pooling with CNNs, BMVC 2017 (gradients by a Lyapunov equation).
    """

    lyapunov: bool

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """float32 for half types, which have no eigh."""
        return working_type(dtype)

    def run(self, A: Tensor) -> Saved:
        """D as `spectral` has it; then D again for the equation, or d and V."""
        eigenvalues, V = torch.linalg.eigh(A)
        definite = (eigenvalues > 0).all(dim=-1, keepdim=True)
        d = torch.where(definite, eigenvalues, torch.nan).rsqrt()
        D = (V * d.unsqueeze(-2)) @ V.mT
        return (D, D.clone()) if self.lyapunov else (D, d, V)

    def pull_back(self, A: Tensor, saved: Saved, G: Tensor) -> Tensor:
        """The gradient; Phi_ij is evaluated as d_i d_j times d_i d_j / (d_i + d_j), which overflows last."""
        if self.lyapunov:
            (D,) = saved
            return solve_lyapunov(symmetric_part(A @ D), -symmetric_part(D @ G @ D))
        d, V = saved
        product = d.unsqueeze(-1) * d.unsqueeze(-2)
        Phi = -product * (product / (d.unsqueeze(-1) + d.unsqueeze(-2)))
        return symmetric_part(V @ (Phi * (V.mT @ G @ V)) @ V.mT)

    def smooth(self) -> "_SmoothSpectral":
        """By Lyapunov equations, whose solution is differentiable as a solution of a Lyapunov equation."""
        return _SmoothSpectral()


@dataclass(frozen=True)
class _SmoothSpectral:
    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        return working_type(dtype)

    def run(self, A: Tensor) -> Saved:
        if in_compiled_transforms():
            raise NotImplementedError(NOT_COMPILED)
        D = with_adjoint(A, Spectral(lyapunov=True))
        return D, D

    def pull_back(self, A: Tensor, saved: Saved, G: Tensor) -> Tensor:
        (D,) = saved
        return _differentiable_lyapunov(symmetric_part(A @ D), -symmetric_part(D @ G @ D))

    def smooth(self) -> "_SmoothSpectral":
        return self


def solve_lyapunov(R: Tensor, C: Tensor) -> Tensor:
    """The symmetric X with R X + X R = C, for R symmetric positive definite and C symmetric, (..., n, n).

    NaN where R is not finite.
    """
    finite = R.isfinite().all(dim=-1).all(dim=-1)[..., None, None]
    # the identity stands in: LAPACK refuses a whole batch for one NaN
    r, V = torch.linalg.eigh(torch.where(finite, R, identity_like(R)))
    X = V @ (V.mT @ C @ V / (r.unsqueeze(-1) + r.unsqueeze(-2))) @ V.mT
    return torch.where(finite, symmetric_part(X), torch.nan)


def _differentiable_lyapunov(R: Tensor, C: Tensor) -> Tensor:
    X: Tensor = apply(_Lyapunov, R, C)
    return X


class _Lyapunov(Function):
    """(R, C) -> X with R X + X R = C, from which R dX + dX R = dC - dR X - X dR.

    It needs no forward mode: `smooth_call` differentiates in reverse alone.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(R: Tensor, C: Tensor) -> Tensor:
        return solve_lyapunov(R, C)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        R, _ = inputs
        ctx.save_for_backward(R, output)

    @staticmethod
    def backward(ctx: Any, H: Tensor) -> tuple[Tensor, Tensor]:
        R, X = ctx.saved_tensors
        Y = _differentiable_lyapunov(R, symmetric_part(H))
        return -2 * symmetric_part(Y @ X), Y
