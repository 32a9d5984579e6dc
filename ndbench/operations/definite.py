"""Which matrices of a batch are symmetric positive definite, and the errors for those that are not."""

import torch
from torch import Tensor

from ndbench.roots.precision import frobenius_norm, identity_like, working_type

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def require_square_floats(A: Tensor, name: str) -> None:
    """Raise unless A is a dense real floating-point tensor of shape (..., n, n)."""
    if not isinstance(A, Tensor):
        raise TypeError(f"{name}: A must be a torch.Tensor; got {type(A).__name__}")
    if A.dtype not in FLOATS:
        raise TypeError(
            f"{name}: A must have a real floating-point type (float64, float32, float16, bfloat16); got {A.dtype}; "
            "convert it first"
        )
    if A.is_nested:
        raise TypeError(f"{name}: A must be one tensor; got a nested one; pass its parts one by one")
    if A.layout != torch.strided:
        raise TypeError(f"{name}: A must be dense; got layout {A.layout}; call to_dense() first")
    if A.ndim < 2 or A.shape[-1] != A.shape[-2]:
        raise ValueError(f"{name}: A must be square in its last two dimensions; got shape {tuple(A.shape)}")


@torch.no_grad()
def faults(A: Tensor, *, semidefinite: bool) -> dict[str, Tensor]:
    """For each kind of fault, which matrices have it: boolean tensors of shape (...). Never synchronizes.

    Rounding must not make a fault. Two triangles computed separately differ by 4 sqrt(n) u ||A||_F at most, u the unit
    roundoff of A's type; a semidefinite matrix may get an eigenvalue of -n u ||A||_F, which `semidefinite`
    allows. Without it a Cholesky factor of A itself must exist.
    """
    n = A.shape[-1]
    W = A.to(working_type(A.dtype))
    finite = W.isfinite().all(dim=-1).all(dim=-1)
    W = torch.where(finite[..., None, None], W, identity_like(W))
    c = frobenius_norm(W)
    u = torch.finfo(A.dtype).eps / 2
    asymmetry = frobenius_norm(W - W.mT)
    lifted = W + n * u * c * identity_like(W) if semidefinite else W
    _, failed = torch.linalg.cholesky_ex(lifted)
    return {
        "NaN or infinite entries": ~finite,
        "the norm ||A||_F overflows, so scale A down": (finite[..., None, None] & c.isinf())[..., 0, 0],
        "not symmetric beyond rounding": (asymmetry > 4 * n**0.5 * u * c)[..., 0, 0],
        "not positive definite": failed != 0,
    }


def require_none(found: dict[str, Tensor], name: str) -> None:
    """Raise for the first kind of fault found, naming the matrices that have it."""
    for fault, where in found.items():
        if where.any():
            raise ValueError(
                f"{name}: A must be symmetric positive definite and finite; {_which(where)}: {fault}. Add eps I to a "
                "covariance that may be singular, or pass check=False to get NaN in just these matrices"
            )


def _which(where: Tensor) -> str:
    """The batch indices of the matrices at fault, the first eight of them."""
    if where.ndim == 0:
        return "the matrix has this fault"
    indices = [tuple(index) if len(index) > 1 else index[0] for index in where.nonzero().tolist()]
    more = f" and {len(indices) - 8} more" if len(indices) > 8 else ""
    return f"{len(indices)} of {where.numel()} matrices have this fault, at batch index {indices[:8]}{more}"
