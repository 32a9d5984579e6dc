"""The coupled Newton-Schulz iteration."""

from collections.abc import Iterator

from torch import Tensor

from ndbench.roots.precision import identity_like, scaled_to_unit_norm, unscaled


def newton_schulz(A: Tensor, steps: int) -> Tensor:
    """Approximate A^(-1/2) by T steps of the coupled Newton-Schulz iteration, in 3T - 3 products.

    With c = ||A||_F, Y_0 = A / c, Z_0 = I and S_k = (3 I - Z_k Y_k) / 2,

        Y_{k+1} = Y_k S_k,    Z_{k+1} = S_k Z_k,    Z_k / sqrt(c) -> A^(-1/2).

    The first step multiplies by Z_0 = I and the last does not need Y_T, which saves three of the 3T products. The
    division by c is not in the paper; without it the iteration diverges once an eigenvalue exceeds 3.

    Args:
        A: symmetric positive definite, shape (..., n, n).
        steps: iterations T, at least 1.

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3.5 (called Denman-Beavers there).
        Higham, Functions of Matrices, SIAM 2008, section 6.3, equation (6.35).
    """
    eye = identity_like(A)
    Y, c = scaled_to_unit_norm(A)
    Z = S = (3 * eye - Y) / 2
    for _ in range(steps - 1):
        Y = Y @ S
        S = (3 * eye - Z @ Y) / 2
        Z = S @ Z
    return unscaled(Z, c)


def newton_schulz_iterates(A: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (Z_k / sqrt(c), Z_k Y_k) for k = 0, 1, ... without end; the second tends to I."""
    eye = identity_like(A)
    Y, c = scaled_to_unit_norm(A)
    Z = eye.expand_as(A)
    while True:
        P = Z @ Y
        yield unscaled(Z, c), P
        S = (3 * eye - P) / 2
        Y, Z = Y @ S, S @ Z
