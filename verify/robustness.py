"""Checks of what happens to matrices that have no inverse square root."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.problems import Problem
from ndbench.verify import metrics
from ndbench.verify.answers import question, respond
from ndbench.verify.check import Measurement
from ndbench.verify.values import allowed, judgeable_truths

FAULTS: dict[str, Callable[[Tensor], Tensor]] = {
    "NaN above the diagonal": lambda A: _with_entry(A, torch.nan),
    "infinity above the diagonal": lambda A: _with_entry(A, torch.inf),
    "all NaN": lambda A: A * torch.nan,
    "negative definite": lambda A: -A,
    "one negative eigenvalue": lambda A: A - 1.5 * torch.diag_embed(A.diagonal()[:1].expand(len(A))),
    "upper triangle doubled": lambda A: A + torch.ones_like(A).triu(1) * A.diagonal().max() / 2,
    "one entry off": lambda A: _with_entry(A, A[0, -1] + 100 * len(A) ** 0.5 * _rounding(A)),
    "zero": torch.zeros_like,
}
"""What makes a matrix bad: functions of a good one of order at least 2."""


def isolation(implementation: Implementation, problem: Problem) -> Measurement:
    """Without checks, exactly the bad matrices become NaN, wherever they stand; the others are within their budget.

    Measured is the worst over all kinds of fault, infinite where a bad matrix got an answer.
    """
    true = judgeable_truths(implementation, problem)
    budget = allowed(implementation, problem.dtype, true)
    unchecked = implementation.unchecked_only()
    error = np.zeros(len(budget))
    for spoil in FAULTS.values():
        for A, bad in _spoiled(problem, spoil):
            found = respond(unchecked, A)
            if not np.isnan(found[bad]).all():
                return Measurement(np.inf, float(budget.min()))
            good = np.delete(found, bad, axis=0)
            error = np.maximum(error, metrics.relative_error(good, true.value))
    return Measurement(*metrics.worst(error, budget))


def rejection(implementation: Implementation, problem: Problem) -> Measurement:
    """With checks, every kind of fault raises a ValueError that names its batch indices; measured: how many do not."""
    missed = [
        fault
        for fault, spoil in FAULTS.items()
        if not all(_rejects(implementation, A, bad) for A, bad in _spoiled(problem, spoil))
    ]
    return Measurement(len(missed), 0, {"not rejected": ", ".join(missed)})


def _rejects(implementation: Implementation, A: Tensor, bad: list[int]) -> bool:
    """Whether the error names the bad matrices: all of them, and no other."""
    try:
        respond(implementation, A)
    except ValueError as error:
        return str(bad) in str(error)
    return False


def _spoiled(problem: Problem, spoil: Callable[[Tensor], Tensor]) -> Iterator[tuple[Tensor, list[int]]]:
    """The batch with a bad matrix at its head, at its end, and at both, and where they are."""
    A = question(problem)
    bad = spoil(A[0])[None]
    yield torch.cat([bad, A]), [0]
    yield torch.cat([A, bad]), [len(A)]
    yield torch.cat([bad, A, bad]), [0, len(A) + 1]


def _with_entry(A: Tensor, value: float | Tensor) -> Tensor:
    """A with another value in its upper right corner, which a reader of lower triangles never sees."""
    A = A.clone()
    A[0, -1] = value
    return A


def _rounding(A: Tensor) -> Tensor:
    """U ||A||_F."""
    norm: Tensor = torch.linalg.vector_norm(A, dtype=torch.float64)
    return norm * torch.finfo(A.dtype).eps / 2
