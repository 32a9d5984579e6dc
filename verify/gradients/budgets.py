"""What each rung allows: formulas in u and the condition of the gradient, with reasons.

u is the unit roundoff of the products. c is the condition of the gradient itself (`truths.condition`): by how much the
true gradient moves, relative to its size, when A is rounded. For the exact root c is 0.3 to 1.4 kappa; for T steps it
stays bounded however large kappa grows, so formulas in kappa alone would let wrong gradients pass there.
"""

import math

import numpy as np
from numpy.typing import NDArray


def closed_form(u: float, n: int, condition: float) -> float:
    """||g - g*||_F / ||g*||_F: (32 + n) u (1 + c).

    Rounding A once moves the true gradient by u c. Right implementations reach 0.1 to 7 times that at small orders; an
    eigendecomposition grows with n, and iterations that stop at a tolerance reach 18, because their last step has
    settled the value before the derivative.
    """
    return (32 + n) * u * (1 + condition)


def without_eigenvalues(u: float, n: int, condition: float) -> float:
    """The same distance from an oracle in float64: half as much again, for that is off by as much itself."""
    return 1.5 * closed_form(u, n, condition)


def same_numbers(u: float, n: int, condition: float) -> float:
    """Two gradients at the same numbers: half of what each may be off, for only the order of sums can differ."""
    return closed_form(u, n, condition) / 2


def differences(u: float, kappa: float, dimensions: int) -> float:
    """The best of a sweep of central differences: 8 (1 + sqrt(dimensions) / 8) (u kappa)^(2/3).

    At a step of h times the smallest eigenvalue the truncation is h^2 and the rounding u kappa / h, which balance at
    h = (u kappa)^(1/3). In a random direction the slope is ||g|| / sqrt(dimensions), and the rounding is not.
    """
    return float(8 * (1 + math.sqrt(dimensions) / 8) * (u * kappa) ** (2 / 3))


def transpose(u: float, condition: float, dimensions: int) -> float:
    """<G, J E> and <J^T G, E>, relative to ||J^T G|| ||E|| / sqrt(dimensions): 8 u (1 + c) (1 + sqrt(dimensions)).

    Each may be off by what its gradient may; the inner products add roundings of ||J^T G|| ||E||.
    """
    return 8 * u * (1 + condition) * (1 + math.sqrt(dimensions))


TAYLOR = 0.1
"""|slope - 2| of the remainder: cubic terms bend the line by a few hundredths; a wrong gradient has slope 1."""


def fold(u: float, size: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """|dx - dx*|, pixel by pixel: 2 u (4 + sqrt(F)) size, size adding up |g| + (|x - mean| + |mean|) |G + G^T| over M.

    Each pixel is a product of F terms for every patch that holds it. An algorithm without a patch matrix takes the mean
    out afterwards, so the sizes hold the mean as well.
    """
    return 2 * u * (4 + math.sqrt(order)) * size


def layer(u: float, condition: float, order: int) -> float:
    """||dx - dx*|| / ||dx*|| from end to end: (32 + F) u (1 + c) + 2 u sqrt(F).

    c is that of the adjoint of D, through which the covariance's own rounding passes; the products of the folding and
    of the convolution add F terms.
    """
    return closed_form(u, order, condition) + 2 * u * math.sqrt(order)
