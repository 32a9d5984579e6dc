"""What each check allows: formulas in the unit roundoff u, the order n and the condition number kappa, with reasons.

u is the unit roundoff of the products: 2^-53 (float64), 2^-24 (float32), 2^-11 (float16), 2^-8 (bfloat16). A budget is
tight: right implementations stay within it on every seed, and reach at least a fiftieth of it on some
    (docs/budgets.md).
"""

import math
from collections.abc import Callable

import torch

Formula = Callable[[float, int, float], float]
"""A budget from u, n and kappa."""

BEYOND = 0.1
"""With u kappa above this, the answer to an exact target has no correct digit that could be judged."""

VACUOUS = 0.5
"""A relative budget above this would let an answer pass that has nothing right."""


def unit_roundoff(dtype: torch.dtype) -> float:
    """U = eps / 2, half the spacing of numbers at 1."""
    return torch.finfo(dtype).eps / 2


def forward(u: float, n: int, kappa: float, growth: float = 1 / 8) -> float:
    """||X - X*||_F / ||X*||_F of an exact target: u max(1, kappa / 2) (16 + growth n), growth = 1/8.

    Rounding A once moves A^(-1/2) by u kappa / 2: that is its condition number (Higham 2008, chapter 3). The
    constant covers the products of an iteration, which add about 3 roundings a step while the condition is already in
    force; n / 8 the growth of one product's error, seen where one eigenvalue is small. A method whose backward
    error is known to grow as n u, Schur's, declares a growth of 1.
    """
    return u * max(1, kappa / 2) * (16 + growth * n)


def steps(u: float, n: int, condition: float, running_error: float, growth: float = 1 / 8) -> float:
    """||X - X*||_F / ||X*||_F of a T-step target: u (condition + max(1, running_error)) (8 + growth n / 2).

    A polynomial iteration multiplies a perturbation in the direction of a small eigenvalue by the square of its
    first coefficient in each step (2.25 for Newton-Schulz), until that eigenvalue has converged; so the condition of
    the map is at most the product of those squares, and at most that of the root, kappa / 2. What cancellation
    inside the polynomials adds, whatever the condition, is the running error (`conditioning`). The rest is the
    backward error, half that of `forward` for products alone; steps evaluated in the eigenbasis of A have that of
    eigh, and declare a larger growth where the condition of the map is that of the root.
    """
    return u * (condition + max(1, running_error)) * (8 + growth * n / 2)


def whitening(u: float, n: int, kappa: float) -> float:
    """||X A X - I||_F / sqrt(n): 2 (n + 10) u kappa.

    X A X - I = E A X + X A E to first order; with ||E|| <= u kappa / 2 ||X|| and ||A X|| = sqrt(||A||) this is up to
    u kappa^(3/2) for an error that ignores structure; a backward-stable root has E of the eigenbasis, and reaches u
    kappa.
    """
    return 2 * (n + 10) * u * kappa


def commutation(u: float, n: int, kappa: float) -> float:
    """||X A - A X||_F / (||X|| ||A||): 2 (n + 10) u sqrt(kappa).

    X is a function of A, so only rounding keeps them from commuting. Each product of an iteration adds u ||Z|| ||Y||,
    which is u sqrt(kappa) relative to ||X|| ||A||.
    """
    return 2 * (n + 10) * u * math.sqrt(kappa)


def symmetry(u: float, n: int, kappa: float) -> float:
    """||X - X^T||_F / ||X||: (n + 10) u kappa.

    A function of a symmetric matrix is symmetric; an iteration that does not symmetrize drifts by the error of its
    iterates, which the condition of the root amplifies.
    """
    return (n + 10) * u * kappa


def versus_eigh(u: float, n: int, kappa: float, error: float) -> float:
    """||X - X*||_F / ||X*||_F: 10 (e + u (1 + kappa / 16) (1 + n / 32)), e being the error of eigh in the same type.

    eigh is backward stable, so an implementation much worse than it wastes digits that the type has. The second term
    lets those be that meet a matrix on which eigh is lucky: diagonal, or with all the weight on one eigenvalue.
    """
    return 10 * (error + u * (1 + kappa / 16) * (1 + n / 32))
