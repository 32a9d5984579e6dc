"""Values and gradients of kernels at every order: masks, padding and tiles depend on it, and the choice of a kernel.

On a GPU every entry takes all of its steps at every order. Triton's interpreter has no time for that. It takes them at
one order of each kernel, gradients on tiles apart, and everywhere else the fewest that run every statement
(`Implementation.fewest`): what T steps add is how often a loop is run, with which numbers, and neither depends on the
order. Of entries with the same kernels it takes one.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache, partial

from ndbench.catalog import Implementation
from ndbench.problems import MatrixProblem
from ndbench.targets import Steps
from ndbench.verify import values
from ndbench.verify.check import Measurement
from ndbench.verify.gradients import roots
from ndbench.verify.gradients.problems import RootGradientProblem
from ndbench.verify.verdict import NotRun

ALL_STEPS = (16, 32, 64, 96)
"""Orders at which the interpreter takes all steps: one for each size of registers and of scratch."""

TILED = (144,)
"""The same of tiles, for values alone: gradients there would take it a minute."""


def value(implementation: Implementation, problem: MatrixProblem) -> Measurement:
    """The budget of `values.steps`, of all steps or of the fewest.

    Raises:
        NotRun: for an entry with the kernels of another one, where that one is judged instead.
    """
    return values.steps(_as_judged(implementation, problem, (*ALL_STEPS, *TILED)), problem)


def gradient(implementation: Implementation, problem: MatrixProblem) -> Measurement:
    """The budget of `gradients.roots.closed_form`, of all steps or of the fewest, with a G that is not symmetric.

    Raises:
        NotRun: for an entry with the kernels of another one, where that one is judged instead.
    """
    judged = _as_judged(implementation, problem, ALL_STEPS)
    return roots.closed_form(judged, RootGradientProblem(problem, symmetric=False))


def orders(some: Sequence[int]) -> tuple[MatrixProblem, ...]:
    """One matrix of each order, of condition 10: budgets grow with the condition, and errors of wrong tiles do not."""
    return tuple(MatrixProblem("geometric", n, 10.0 if n > 1 else 1.0, batch=1) for n in some)


def require_own_kernels(implementation: Implementation) -> None:
    """Raise `NotRun` in the interpreter for an entry whose kernels are judged by another one."""
    if implementation.devices[0] == "interpreter" and implementation.same_kernels:
        raise NotRun(f"judged by {implementation.same_kernels}, which has the same kernels: here it takes a GPU")


def _as_judged(implementation: Implementation, problem: MatrixProblem, whole: Sequence[int]) -> Implementation:
    """What is judged: all steps on a GPU and, at the orders of `whole`, in the interpreter."""
    if implementation.devices[0] != "interpreter" or implementation.fewest is None or problem.n in ALL_STEPS:
        return implementation
    require_own_kernels(implementation)
    return implementation if problem.n in whole else _of_fewest_steps(implementation)


@lru_cache(maxsize=64)
def _of_fewest_steps(implementation: Implementation) -> Implementation:
    """The same function of as few steps as run all of its code, held to the map of so many."""
    if implementation.fewest is None or not isinstance(implementation.target, Steps):
        return implementation
    steps, scaled_steps = implementation.fewest
    return replace(
        implementation,
        name=f"{implementation.name} of {steps} steps",
        function=partial(implementation.function, steps=steps, scaled_steps=scaled_steps),
        target=replace(implementation.target, steps=steps, scaled_steps=scaled_steps),
    )


ORDERS = {
    "quick": orders((*range(1, 71), 96, 128, 144, 147)),
    "full": orders((*range(1, 200), 255, 256, 257, 288, 576, 1000, 1152)),
}
