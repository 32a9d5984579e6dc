"""The Denman-Beavers iteration as first published."""

from collections.abc import Iterator
from itertools import islice

import torch
from torch import Tensor

from ndbench.roots.precision import identity_like, working_type


def denman_beavers_plain(A: Tensor, steps: int) -> Tensor:
    """Approximate A^(-1/2) by T steps of the Denman-Beavers iteration, unscaled.

    With Y_0 = A and Z_0 = I,

        Y_{k+1} = (Y_k + Z_k^-1) / 2,    Z_{k+1} = (Z_k + Y_k^-1) / 2,    Z_k -> A^(-1/2).

    Half types are computed in float32 and rounded once.

    Args:
        A: symmetric positive definite, shape (..., n, n).
        steps: iterations T, at least 1.

    References:
        Denman and Beavers, The matrix sign function and computations in systems, 1976.
        Higham, Functions of Matrices, SIAM 2008, section 6.3, equation (6.28).
    """
    Z, _ = next(islice(denman_beavers_plain_iterates(A), steps, None))
    return Z


def denman_beavers_plain_iterates(A: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (Z_k, Z_k Y_k) for k = 0, 1, ... without end; the second tends to I."""
    Y = A.to(working_type(A.dtype))
    Z = identity_like(Y).expand_as(Y)
    while True:
        yield Z.to(A.dtype), Z @ Y
        Y, Z = (Y + _inverse(Z)) / 2, (Z + _inverse(Y)) / 2


def _inverse(M: Tensor) -> Tensor:
    inverse, failed = torch.linalg.inv_ex(M)
    return torch.where((failed == 0)[..., None, None], inverse, torch.nan)
