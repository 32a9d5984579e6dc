"""Checks of what happens to matrices that have no inverse square root."""

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.problems import Problem
from ndbench.verify import metrics
from ndbench.verify.answers import question, respond
from ndbench.verify.check import Measurement
from ndbench.verify.invariants import SAME_NUMBERS
from ndbench.verify.values import allowed, judgeable_truths

FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "NaN entry": lambda A: A.index_fill(0, torch.tensor([len(A) - 1]), torch.nan),
    "infinite entry": lambda A: A.index_fill(1, torch.tensor([0]), torch.inf),
    "negative definite": lambda A: -A,
    "one negative eigenvalue": lambda A: A - 1.5 * torch.diag_embed(A.diagonal()[:1].expand(len(A))),
    "not symmetric": lambda A: A + torch.ones_like(A).triu(1) * A.diagonal().max() / 2,
    "zero": torch.zeros_like,
}
"""What makes a matrix bad: functions of a good one of order at least 2."""


def isolation(implementation: Implementation, problem: Problem) -> Measurement:
    """Without checks, a bad matrix at the head of a batch becomes NaN; the others keep their answers.

    Measured is the worst over all kinds of fault, infinite where the bad matrix got an answer.
    """
    true = judgeable_truths(implementation, problem)
    budget = SAME_NUMBERS * allowed(implementation, problem.dtype, true)
    unchecked = implementation.unchecked_only()
    good = respond(unchecked, question(problem))
    error = np.zeros(len(good))
    for spoil in FAULTS.values():
        bad, *others = respond(unchecked, _headed_by_a_bad_one(problem, spoil))
        if not np.isnan(bad).all():
            return Measurement(np.inf, float(budget.min()))
        error = np.maximum(error, metrics.frobenius(np.stack(others) - good) / metrics.frobenius(true.value))
    return Measurement(*metrics.worst(error, budget))


def rejection(implementation: Implementation, problem: Problem) -> Measurement:
    """With checks, every kind of fault raises a ValueError that names the batch index; measured is how many do not."""
    missed = [fault for fault, spoil in FAULTS.items() if not _rejects(implementation, problem, spoil)]
    return Measurement(len(missed), 0, {"not rejected": ", ".join(missed)})


def _rejects(implementation: Implementation, problem: Problem, spoil: Callable[[Tensor], Tensor]) -> bool:
    try:
        respond(implementation, _headed_by_a_bad_one(problem, spoil))
    except ValueError as error:
        return "[0]" in str(error)
    return False


def _headed_by_a_bad_one(problem: Problem, spoil: Callable[[Tensor], Tensor]) -> Tensor:
    A = question(problem)
    return torch.cat([spoil(A[0])[None], A])
