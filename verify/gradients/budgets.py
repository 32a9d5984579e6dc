"""What each rung allows: formulas in u and in how sensitive the gradient is, with reasons.

u is the unit roundoff of the products. Two figures say how far the true gradient moves, relative to its size
(`truths`): c, its condition, when A moves by one unit; r, its rounding, when every operation of the map on the
eigenvalues is off by a unit. For the exact root c is 0.3 to 1.4 kappa and r about 2. For T steps c stays bounded
however large kappa grows, so formulas in kappa would let wrong gradients pass there; and r sees what cancels inside the
steps, which c does not: five quintic minimax steps have c = 3 and r = 25 on a matrix with eigenvalues 1 and 4.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from ndbench.verify.budgets import unit_roundoff

HALF_TYPES = (torch.float16, torch.bfloat16)
VACUOUS = 0.2
"""A relative budget above this judges nothing: a gradient with one step too few can be off by as little."""


def closed_form(u: float, n: int, c: float, r: float) -> float:
    """||g - g*||_F / ||g*||_F: u ((32 + n) c + 16 max(1, r)).

    The first term is a backward error of (32 + n) u: right loops show 1 to 4 u, eigendecompositions 17 u and more as n
    grows. The second is the forward error of the steps: r counts one rounding for every operation on an eigenvalue, a
    product of matrices has several in each entry, and the backward pass two products for each of the forward pass.
    """
    return u * ((32 + n) * c + 16 * max(1, r))


def half_products(u: float, c: float, r: float) -> float:
    """The same for products in a 16-bit type with sums in float32: 6 u (c + max(1, r)).

    Each entry of a product is rounded once, whatever the order, and three products (one forward, two backward) share
    the rounding that r counts once; twice that, for A, the norm and the answer are rounded as well.
    """
    return 6 * u * (c + max(1, r))


def root(u: float, n: int, c: float, r: float, *, dtype: torch.dtype, widened: bool) -> float:
    """The formula of the arithmetic: of the type itself, or of float32 and one rounding more for what is widened."""
    if dtype not in HALF_TYPES:
        return closed_form(u, n, c, r)
    return closed_form(unit_roundoff(torch.float32), n, c, r) + u if widened else half_products(u, c, r)


WITHOUT_EIGENVALUES = 1.5
"""Of the budget of the closed form, for an oracle in float64 that is off by as much itself."""
SAME_NUMBERS = 0.5
"""Of the same for two gradients at the same numbers: only the order of sums can differ."""


def differences(u: float, kappa: float, dimensions: int) -> float:
    """The best of a sweep of central differences: 8 (1 + sqrt(dimensions) / 8) (u kappa)^(2/3).

    At a step of h times the smallest eigenvalue the truncation is h^2 and the rounding u kappa / h, which balance at
    h = (u kappa)^(1/3). In a random direction the slope is ||g|| / sqrt(dimensions), and the rounding is not.
    """
    return float(8 * (1 + math.sqrt(dimensions) / 8) * (u * kappa) ** (2 / 3))


def transpose(u: float, dimensions: int, c: float, r: float) -> float:
    """<G, J E> and <J^T G, E>, relative to ||J^T G|| ||E|| / sqrt(m): 4 u (2 c + max(1, r)) (1 + sqrt(m)), m entries.

    Each may be off by what its gradient may; the inner products add roundings of ||J^T G|| ||E||.
    """
    return 4 * u * (2 * c + max(1, r)) * (1 + math.sqrt(dimensions))


TAYLOR = 0.1
"""|slope - 2| of the remainder: cubic terms bend the line by a few hundredths; a wrong gradient has slope 1."""


def fold(u: float, size: NDArray[np.float64], order: int) -> NDArray[np.float64]:
    """|dx - dx*|, pixel by pixel: 2 u (4 + sqrt(F)) size, size adding up |g| + (|x - mean| + |mean|) |G + G^T| over M.

    Each pixel is a product of F terms for every patch that holds it. An algorithm without a patch matrix takes the mean
    out afterwards, so the sizes hold the mean as well.
    """
    return 2 * u * (4 + math.sqrt(order)) * size


def layer(u: float, order: int, c: float, r: float, *, dtype: torch.dtype) -> float:
    """||dx - dx*|| / ||dx*|| from end to end: the closed form of D's adjoint + 2 u sqrt(F), in 16-bit types + 4 u.

    c and r are those of the adjoint of D, through which the covariance's own rounding passes; the products of the
    folding and of the convolution add F terms. Statistics of 16-bit types are float32: what rounds to the type is
    the folded weight, its gradient, the convolution's gradient, and the sum of the two parts of dx.
    """
    working = unit_roundoff(torch.float32) if dtype in HALF_TYPES else u
    return statistics(u, order, c, r, dtype=dtype) + 2 * working * math.sqrt(order) + 4 * u * (dtype in HALF_TYPES)


def statistics(u: float, order: int, c: float, r: float, *, dtype: torch.dtype) -> float:
    """What D and its adjoint may be off by: the closed form, in float32 for 16-bit types."""
    return closed_form(unit_roundoff(torch.float32) if dtype in HALF_TYPES else u, order, c, r)


def parameters(u: float, rows: int, of_root: float, sizes: tuple[float, float], *, dtype: torch.dtype) -> float:
    """||dw - dw*|| / ||dw*||: (of_root + 2 u sqrt(M)) terms + 3 u sums, the last in 16-bit types only.

    dw = D (sum over M patches of g (p - mean)) is had as D times (sum of g p - mean sum of g), whose terms are so many
    times as large as what is left; D is off by `of_root`, what its adjoint may be. In 16-bit types the sums, their
    product with D and the answer are rounded once each; everything else is float32. The bias is the same with D = 1.
    """
    terms, sums = sizes
    working = unit_roundoff(torch.float32) if dtype in HALF_TYPES else u
    return (of_root + 2 * working * math.sqrt(rows)) * terms + (3 * u * sums if dtype in HALF_TYPES else 0.0)
