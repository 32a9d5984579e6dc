"""The inverse square root by eigendecomposition."""

import torch
from torch import Tensor

from ndbench.roots.precision import working_type


def spectral(A: Tensor) -> Tensor:
    """A^(-1/2) = V diag(lambda^(-1/2)) V^T with A = V diag(lambda) V^T.

    A matrix with a computed eigenvalue that is not positive has no inverse square root in its type: its answer is NaN.
    Half types are computed in float32 and rounded once.

    Args:
        A: symmetric positive definite, shape (..., n, n).

    References:
        Higham, Functions of Matrices, SIAM 2008, section 1.2.
    """
    eigenvalues, V = torch.linalg.eigh(A.to(working_type(A.dtype)))
    definite = (eigenvalues > 0).all(dim=-1, keepdim=True)
    d = torch.where(definite, eigenvalues, torch.nan).rsqrt()
    D: Tensor = (V * d.unsqueeze(-2)) @ V.mT
    return D.to(A.dtype)
