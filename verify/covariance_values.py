"""Checks of the values of a patch covariance against the truth and against what every covariance is."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.catalog import Implementation
from ndbench.covariance_problems import CovarianceProblem
from ndbench.operations import patch_covariance
from ndbench.verify import covariance_budgets as budgets
from ndbench.verify import metrics
from ndbench.verify.check import Measurement
from ndbench.verify.covariance_answers import Truths, answer, product_roundoff, question, read, truths
from ndbench.verify.verdict import Evidence, NotRun

Array = NDArray[np.floating[Any]]


def mean(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """|mean_a - mean*_a| <= u (4 + log2(M) / 2) level_a, entry by entry."""
    true = truths(problem)
    return entries(answer(implementation, problem).mean, true.mean, true.mean_budget, evidence(true))


def covariance(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """|cov_ab - cov*_ab| <= (u s(M) + 4 (v - u)) spread_ab + e_a e_b, entry by entry; e is the mean's error.

    On data with a large mean this says that errors may not grow with it: those of E[x_a x_b] - mean_a mean_b do.

    Raises:
        NotRun: if the truth is not ten times better than that.
    """
    true = truths(problem)
    allowed = true.budget(implementation)
    if (true.error * true.scales.spread > allowed / 10).any():
        raise NotRun(f"the truth ({true.source}) is known to {true.error:.1e} of the spread only")
    return entries(answer(implementation, problem).cov, true.cov, allowed, evidence(true))


def placement(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """Mean and covariance of pixels that are all different agree with columns enumerated one by one.

    A column that was put into another group or at another place carries the mean of another pixel.
    """
    true, found = truths(problem), answer(implementation, problem)
    measured = np.concatenate([abs(found.mean - true.mean).ravel(), abs(found.cov - true.cov).ravel()])
    allowed = np.concatenate([true.mean_budget.ravel(), true.budget(implementation).ravel()])
    return entries(measured, np.zeros_like(measured), allowed, evidence(true))


def exact_symmetry(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """cov_ab = cov_ba bit by bit: the number of entries that differ is 0."""
    cov = answer(implementation, problem).cov
    return Measurement(float(np.count_nonzero(cov != cov.mT)), 0.0)


def semidefinite(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """-lambda_min(cov - eps I) <= sqrt(F) (u s(M) + 4 (v - u) + 2 u_type) max_a spread_aa."""
    true = truths(problem)
    lowest = metrics.eigenvalues(answer(implementation, problem).cov)[:, 0] - problem.eps
    allowed = budgets.semidefinite(problem.dtype, true.scales, product_roundoff(implementation, problem.dtype))
    return Measurement(*metrics.worst(-lowest, allowed), evidence(true))


def agreement(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """|cov_ab - im2col_ab| <= twice the budget of the covariance: both may be off by one."""
    x, true = question(problem), truths(problem)
    defined = patch_covariance(x.clone(), **problem.arguments(), algorithm="im2col")
    rival = read(defined, x, problem.arguments()).cov
    return entries(answer(implementation, problem).cov, rival, 2 * true.budget(implementation), evidence(true))


def entries(found: Array, wanted: Array, allowed: Array, shown: Evidence | None = None) -> Measurement:
    """The worst entry's distance beside its budget."""
    distance = abs(found - wanted).astype(np.float64).ravel()
    return Measurement(*metrics.worst(distance, allowed.astype(np.float64).ravel()), shown or {})


def evidence(true: Truths) -> dict[str, float | str]:
    """The figures behind a judgement."""
    return {"rows": float(true.scales.rows), "truth": true.source}
