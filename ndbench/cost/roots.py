"""Models of the inverse square roots and their adjoints.

Products of matrices of order n take 2 n^3 flops. With T steps:

    method                  products        reverse    eigenbasis      factorizations, leading terms
    newton_schulz           3T - 3          4T - 4     1, backward 4   eigh 9 n^3, of "eigenbasis" alone
    minimax_cubic           3T - 3          4T - 4     1, backward 4   the same
    minimax_quintic         4T - 3          7T - 5     1, backward 4   the same
    denman_beavers          T               4T         1, backward 4   T times Cholesky and inverse, n^3
    denman_beavers_plain    T + 1                                      2T times LU and inverse, 2 n^3
    spectral                1                          1, backward 4   eigh 9 n^3; of "lyapunov" once more, backward 7
    scipy_sqrtm                                                        28 1/3 n^3 and an inverse, 2 n^3
    scipy_power                                                        28 n^3 at least

"autograd" takes two products for each one of a polynomial method, 6T - 1 and T times two triangular solves, n^3 each,
for denman_beavers, 4T - 4 (2 for T = 1) for denman_beavers_plain, and 5 for spectral. The leading terms are those of
Golub and Van Loan, Matrix Computations, 4th edition, sections 3.2, 4.2 and 8.3, and of Higham, Functions of Matrices,
chapter 6: LAPACK's own algorithms may take other multiples of n^3.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import torch

from ndbench.cost.model import Cost
from ndbench.roots.adjoints.choice import ADJOINTS, steps_of, suits_the_eigenbasis

EIGH, CHOLESKY_INVERSE, INVERSE, SOLVES = 9, 1, 2, 2
SCHUR_ROOT, SCHUR_POWER = Fraction(85, 3), 28
"""Multiples of n^3. The power's square roots and Pade terms depend on the matrix, and are left out."""


@dataclass(frozen=True)
class Work:
    """Products, and multiples of n^3 flops that factorizations take."""

    products: int = 0
    cubes: Fraction | int = 0


Steps = Callable[[int], Work]

FORWARD: dict[str, Steps] = {
    "newton_schulz": lambda T: Work(3 * T - 3),
    "minimax_cubic": lambda T: Work(3 * T - 3),
    "minimax_quintic": lambda T: Work(4 * T - 3),
    "denman_beavers": lambda T: Work(T, T * CHOLESKY_INVERSE),
    "denman_beavers_plain": lambda T: Work(T + 1, 2 * T * INVERSE),
    "spectral": lambda T: Work(1, EIGH),
    "scipy_sqrtm": lambda T: Work(0, SCHUR_ROOT + INVERSE),
    "scipy_power": lambda T: Work(0, SCHUR_POWER),
}
"""T steps of every method."""

BACKWARD: dict[tuple[str, str], Steps] = {
    ("newton_schulz", "reverse"): lambda T: Work(4 * T - 4),
    ("newton_schulz", "autograd"): lambda T: Work(6 * T - 6),
    ("minimax_cubic", "reverse"): lambda T: Work(4 * T - 4),
    ("minimax_cubic", "autograd"): lambda T: Work(6 * T - 6),
    ("minimax_quintic", "reverse"): lambda T: Work(7 * T - 5),
    ("minimax_quintic", "autograd"): lambda T: Work(8 * T - 6),
    ("denman_beavers", "reverse"): lambda T: Work(4 * T),
    ("denman_beavers", "autograd"): lambda T: Work(6 * T - 1, T * SOLVES),
    ("denman_beavers_plain", "autograd"): lambda T: Work(max(2, 4 * T - 4)),
    ("spectral", "autograd"): lambda T: Work(5),
    ("spectral", "lyapunov"): lambda T: Work(7, EIGH),
}
"""Of a method and its adjoint; the adjoint "eigenbasis" is the same for all: `IN_THE_EIGENBASIS`."""

IN_THE_EIGENBASIS = Work(1, EIGH), Work(4)
"""Forward and backward."""


def forward(method: str, steps: int, n: int, *, adjoint: str = "auto", batch: int = 1, itemsize: int = 4) -> Cost:
    """The map A -> D.

    Args:
        method: as in `ndbench.inverse_sqrt`, as are steps and adjoint, "auto" where no gradient is asked for.
        steps: T.
        n: order of the matrices.
        adjoint: how it will be differentiated: "eigenbasis" computes D differently.
        batch: how many matrices.
        itemsize: bytes of a number.

    Raises:
        ValueError: for a method or an adjoint that does not exist, or fewer steps than one.

    Example:
        >>> forward("newton_schulz", 5, 100).products == 12 * 2 * 100**3
        True
    """
    require(method, adjoint, steps)
    work = IN_THE_EIGENBASIS[0] if adjoint == "eigenbasis" else FORWARD[method](steps)
    return cost_of(work, n, batch, moved=2 * itemsize)


def backward(method: str, steps: int, n: int, *, adjoint: str, batch: int = 1, itemsize: int = 4) -> Cost:
    """The gradient with respect to A from that with respect to D, where the forward has kept what it needs.

    Args:
        method: as in `ndbench.inverse_sqrt`, as are steps and adjoint, which must not be "auto" here.
        steps: T.
        n: order of the matrices.
        adjoint: how it is computed.
        batch: how many matrices.
        itemsize: bytes of a number.

    Raises:
        ValueError: as :func:`forward`, and for a method without that gradient.
    """
    require(method, adjoint, steps)
    if adjoint != "eigenbasis" and (method, adjoint) not in BACKWARD:
        raise ValueError(f"roots: method {method!r} has no model of the adjoint {adjoint!r}")
    work = IN_THE_EIGENBASIS[1] if adjoint == "eigenbasis" else BACKWARD[method, adjoint](steps)
    return cost_of(work, n, batch, moved=3 * itemsize)


def chosen_adjoint(method: str, steps: int, n: int, lower: float = 1e-4, dtype: torch.dtype = torch.float32) -> str:
    """What "auto" stands for on a CPU where a gradient is recorded."""
    if method == "spectral":
        return "eigenbasis"
    if "reverse" not in ADJOINTS[method]:
        return "autograd"
    iteration = steps_of(method, steps, lower, steps)
    return "eigenbasis" if suits_the_eigenbasis(n, dtype, "cpu", iteration) else "reverse"


def cost_of(work: Work, n: int, batch: int, moved: int) -> Cost:
    """Of so many matrices of order n, each of which moves so many bytes an entry."""
    return Cost(2 * work.products * batch * n**3, int(work.cubes * batch * n**3), moved * batch * n**2)


def require(method: str, adjoint: str, steps: int) -> None:
    """Refuse what does not exist."""
    if method not in FORWARD:
        raise ValueError(f"roots: method must be one of {', '.join(FORWARD)}; got {method!r}")
    if adjoint not in ADJOINTS[method]:
        raise ValueError(f"roots: adjoint must be one of {', '.join(ADJOINTS[method])} for {method}; got {adjoint!r}")
    if steps < 1:
        raise ValueError(f"roots: steps must be at least 1; got {steps}")
