"""Checks of iterations as iterations: they stay converged, and they converge at the order they claim."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from ndbench.catalog import Implementation
from ndbench.problems import Problem
from ndbench.verify import metrics
from ndbench.verify.answers import Truths, question
from ndbench.verify.check import Measurement
from ndbench.verify.values import allowed, judgeable_truths
from ndbench.verify.verdict import NotRun

MOST_STEPS = 200
ORDER_TOLERANCE = 0.25


def stability(implementation: Implementation, problem: Problem) -> Measurement:
    """Run on to five times its convergence count, an iteration stays within the budget that it had reached.

    The count is the first step whose error is within the forward budget; an unstable iteration such as
    P <- (3 P - P^3 A) / 2 reaches it too, and leaves it soon after.
    """
    true = judgeable_truths(implementation, problem)
    budget = allowed(implementation, problem.dtype, true)
    errors = _errors(implementation, problem, true)
    converged = next((k for k, e in enumerate(islice(errors, MOST_STEPS)) if (e <= budget).all()), MOST_STEPS)
    if converged == MOST_STEPS:
        return Measurement(float("nan"), float(budget.min()), {"steps": MOST_STEPS})
    after = list(islice(errors, 4 * converged + 1))
    measured, allowance = metrics.worst(np.max(after, axis=0), budget)
    return Measurement(measured, allowance, {"convergence_count": converged})


def order(implementation: Implementation, problem: Problem) -> Measurement:
    """|p - order| <= 1/4, with p the slope of log e_{k+1} against log e_k over the iterates, e_k their forward error.

    Only errors below 1/10 and a thousand times above rounding are in the regime e_{k+1} = C e_k^p.
    """
    true = judgeable_truths(implementation, problem)
    e = np.array(list(islice(_errors(implementation, problem, true), 40)))
    floor = 1e3 * implementation.unit_roundoff(problem.dtype) * true.kappa.max()
    regime = (e[:-1] < 0.1) & (e[1:] > floor)
    slope = np.polyfit(np.log(e[:-1][regime]), np.log(e[1:][regime]), 1)[0]
    return Measurement(float(abs(slope - implementation.order)), ORDER_TOLERANCE, {"order": float(slope)})


def _errors(implementation: Implementation, problem: Problem, true: Truths) -> Iterator[NDArray[np.float64]]:
    """The forward error of each matrix, shape (batch,), for one iterate after the other."""
    if implementation.iterates is None:
        raise NotRun(f"{implementation.name} has no iterates")
    for X, _ in implementation.iterates(question(problem).to(implementation.place)):
        yield metrics.relative_error(X.to("cpu").double().numpy(), true.value)
