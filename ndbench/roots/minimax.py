"""The coupled iteration with the best polynomial of each step, known before the matrix is."""

from collections.abc import Iterator
from itertools import islice

from torch import Tensor

from ndbench.roots.coefficients import Coefficients, minimax_coefficients
from ndbench.roots.precision import identity_like, scaled_to_unit_norm, unscaled


def minimax(A: Tensor, steps: int, lower: float, degree: int) -> Tensor:
    """Approximate A^(-1/2) by T coupled steps with minimax polynomials, cubic (degree 3) or quintic (degree 5).

    With c = ||A||_F, Y_0 = A / c, Z_0 = I, P_k = Z_k Y_k and H_k = a_k I + b_k P_k + c_k P_k^2,

        Y_{k+1} = Y_k H_k,    Z_{k+1} = H_k Z_k,    Z_k / sqrt(c) -> A^(-1/2).

    sqrt(P_k) then follows the odd polynomial a s + b s^3 + c s^5, whose coefficients minimise the distance to 1 over
    the interval that step k - 1 left (`minimax_coefficients`). They depend on `lower` and k alone, so nothing is
    computed from the matrix. Eigenvalues of A / c below `lower` converge too, only later.

    Args:
        A: symmetric positive definite, shape (..., n, n).
        steps: iterations T, at least 1.
        lower: lower bound of the spectrum of A / ||A||_F, in (0, 1].
        degree: 3 or 5, of the odd polynomial.

    References:
        Chen and Chow, A stable scaling of Newton-Schulz for improving the sign function computation, 2014 (cubic).
        Amsel et al., The Polar Express, 2025 (greedy composition of optimal polynomials, quintic).
    """
    eye = identity_like(A)
    Y, c = scaled_to_unit_norm(A)
    first, *rest = islice(minimax_coefficients(lower, degree), steps)
    Z = H = _polynomial(Y, eye, first)
    for coefficients in rest:
        Y = Y @ H
        H = _polynomial(Z @ Y, eye, coefficients)
        Z = H @ Z
    return unscaled(Z, c)


def minimax_iterates(A: Tensor, lower: float, degree: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (Z_k / sqrt(c), Z_k Y_k) for k = 0, 1, ... without end; the second tends to I."""
    eye = identity_like(A)
    Y, c = scaled_to_unit_norm(A)
    Z = eye.expand_as(A)
    for coefficients in minimax_coefficients(lower, degree):
        P = Z @ Y
        yield unscaled(Z, c), P
        H = _polynomial(P, eye, coefficients)
        Y, Z = Y @ H, H @ Z


def _polynomial(P: Tensor, eye: Tensor, coefficients: Coefficients) -> Tensor:
    a, b, c = coefficients
    return a * eye + b * P + c * (P @ P) if c else a * eye + b * P
