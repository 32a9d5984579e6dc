"""Which adjoint serves a method best."""

import math
from itertools import islice

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import guard_scalar

from ndbench.roots.adjoints.coupled import Coupled
from ndbench.roots.adjoints.eigenbasis import Eigenbasis
from ndbench.roots.adjoints.exact import Spectral
from ndbench.roots.adjoints.functions import Recomputed, Recurrence
from ndbench.roots.adjoints.product_form import ProductForm
from ndbench.roots.coefficients import LIMITS, Coefficients, minimax_coefficients

STEPS = ("auto", "autograd", "reverse", "eigenbasis")
ADJOINTS: dict[str, tuple[str, ...]] = {
    "newton_schulz": STEPS,
    "denman_beavers": STEPS,
    "denman_beavers_plain": ("auto", "autograd"),
    "minimax_cubic": STEPS,
    "minimax_quintic": STEPS,
    "spectral": ("auto", "autograd", "eigenbasis", "lyapunov"),
    "scipy_sqrtm": ("auto", "autograd"),
    "scipy_power": ("auto", "autograd"),
}
"""The adjoints of every method, by name."""

SMALLEST_ORDER = 128
"""From here eigh costs less than the products it saves, on a CPU: at n = 64 it takes twice as long."""

FEWEST_STEPS = 4
"""With three, forward and backward took 0.6 to 1.1 of the loop's time at n = 128 to 576; with four 0.4 to 0.9.

`python -m benchmarks.gradients --steps 3 --orders 128 288 576` measures it.
"""

LARGEST_GROWTH = 100.0
"""Of errors in small eigenvalues, which eigh makes of the size u ||A||: the loop's are smaller, and grow as much."""


def steps_of(method: str, steps: int, lower: float, scaled_steps: int) -> Coupled | ProductForm:
    """The T steps of an iteration that has a hand-written adjoint."""
    if method == "denman_beavers":
        return ProductForm(steps, scaled_steps)
    if torch.compiler.is_compiling():
        # with `dynamic=True` they are variables of the graph, which an autograd function in it cannot have
        steps, lower = int(guard_scalar(steps)), float(guard_scalar(lower))
    return Coupled(_coefficients(method, steps, lower))


def recurrence_for(A: Tensor, adjoint: str, iteration: Coupled | ProductForm | None) -> Recurrence:
    """The recurrence that computes an iteration, or the exact map for None, with the adjoint asked for.

    "auto" is "eigenbasis" for the exact map. For an iteration it is "eigenbasis" on a CPU in float32 and float64, from
    order 128 on, for at least four steps that magnify small eigenvalues of A / ||A||_F by at most 100 in all
    (Newton-Schulz with T = 4 or 5); otherwise "reverse". Where no gradient is recorded, it keeps nothing for one.
    """
    if iteration is None:
        exact = Spectral(lyapunov=adjoint == "lyapunov")
        return exact if adjoint != "auto" or recorded(A) else Recomputed(exact)
    if adjoint == "auto" and not recorded(A):
        return Recomputed(iteration)
    if adjoint == "eigenbasis" or (
        adjoint == "auto" and suits_the_eigenbasis(A.shape[-1], A.dtype, A.device.type, iteration)
    ):
        return Eigenbasis(iteration)
    return iteration


def recorded(A: Tensor) -> bool:
    """Whether autograd records what is computed from A."""
    return torch.is_grad_enabled() and A.requires_grad


def suits_the_eigenbasis(n: int, dtype: torch.dtype, device: str, iteration: Coupled | ProductForm) -> bool:
    """Whether the eigenbasis is the better place for these steps of matrices of order n."""
    if device != "cpu" or dtype.itemsize < 4 or n < SMALLEST_ORDER:
        return False
    # the product form converges for every eigenvalue, so it magnifies by the condition number
    if not isinstance(iteration, Coupled) or len(iteration.coefficients) < FEWEST_STEPS:
        return False
    return math.prod([a * a for a, _, _ in iteration.coefficients]) <= LARGEST_GROWTH


def _coefficients(method: str, steps: int, lower: float) -> tuple[Coefficients, ...]:
    """(a, b, c) of every coupled step."""
    if method == "newton_schulz":
        return (LIMITS[3],) * steps
    return tuple(islice(minimax_coefficients(lower, 3 if method == "minimax_cubic" else 5), steps))


# Dynamo need not trace multiprecision arithmetic, and numbers that it knows are no variables of the graph;
# torch.compiler.assume_constant_result does just this, and loads it
_coefficients._dynamo_marked_constant = True  # type: ignore[attr-defined]
