"""Checks of the values of an inverse square root against the truth and against its defining identities."""

import numpy as np
import torch
from numpy.typing import NDArray

from ndbench.catalog import Implementation
from ndbench.problems import Problem, dtype_name
from ndbench.roots import spectral
from ndbench.targets import Exact
from ndbench.verify import budgets, metrics
from ndbench.verify.answers import Truths, answer, question, truths
from ndbench.verify.check import Measurement
from ndbench.verify.conditioning import amplification, running_error
from ndbench.verify.verdict import NotRun

Batch = NDArray[np.float64]


def forward(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X*||_F / ||X*||_F <= u max(1, kappa / 2) (16 + n / 8), X* the certified or float64 root."""
    return _distance_from_truth(implementation, problem)


def steps(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X*||_F / ||X*||_F <= u (min(amplification, kappa / 2) + r) (8 + growth n / 2), X* the true T-step map.

    r is the running error of the steps (`conditioning.running_error`), at least 1.
    """
    return _distance_from_truth(implementation, problem)


def allowed(implementation: Implementation, dtype: torch.dtype, true: Truths) -> Batch:
    """The error that each matrix of a batch may have: the budget of `forward` or of `steps`, as the target demands."""
    u, n, target = implementation.unit_roundoff(dtype), true.value.shape[-1], implementation.target
    if isinstance(target, Exact):
        return np.array([budgets.forward(u, n, k, implementation.growth) for k in true.kappa])
    conditions = [min(amplification(target), k / 2) for k in true.kappa]
    running = [running_error(target, eigenvalues) for eigenvalues in true.eigenvalues]
    pairs = zip(conditions, running, strict=True)
    return np.array([budgets.steps(u, n, c, r, implementation.growth) for c, r in pairs])


def whitening(implementation: Implementation, problem: Problem) -> Measurement:
    """||X A X - I||_F / sqrt(n) <= 2 (n + 10) u kappa: D whitens what A is the covariance of."""
    true, X, A = _identity(implementation, problem)
    residual = metrics.frobenius(X @ A @ X - np.eye(problem.n)) / np.sqrt(problem.n)
    return _worst(residual, budgets.whitening, implementation, problem, true)


def commutation(implementation: Implementation, problem: Problem) -> Measurement:
    """||X A - A X||_F / (||X|| ||A||) <= 2 (n + 10) u sqrt(kappa): a function of A commutes with A."""
    true, X, A = _identity(implementation, problem)
    norms = metrics.spectral_norm(X) * true.eigenvalues[:, -1]
    return _worst(metrics.frobenius(X @ A - A @ X) / norms, budgets.commutation, implementation, problem, true)


def symmetry(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X^T||_F / ||X|| <= (n + 10) u kappa: a function of a symmetric matrix is symmetric."""
    true, X, _ = _identity(implementation, problem)
    asymmetry = metrics.frobenius(X - X.mT) / metrics.spectral_norm(X)
    return _worst(asymmetry, budgets.symmetry, implementation, problem, true)


def definiteness(implementation: Implementation, problem: Problem) -> Measurement:
    """lambda_min(X*) - lambda_min(X) <= the budget of `forward` or `steps` times ||X*||.

    By Weyl's inequality an answer within that budget cannot lose more of its smallest eigenvalue, which is what
    keeps the root positive definite.
    """
    true = judgeable_truths(implementation, problem)
    lost = metrics.eigenvalues(true.value)[:, 0] - metrics.eigenvalues(answer(implementation, problem))[:, 0]
    budget = allowed(implementation, problem.dtype, true)
    if (budget * np.sqrt(true.kappa) > budgets.VACUOUS).any():
        raise NotRun(f"in {dtype_name(problem.dtype)} the smallest eigenvalue of the answer may be lost in rounding")
    return Measurement(*metrics.worst(lost / metrics.spectral_norm(true.value), budget), _evidence(true))


def versus_eigh(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X*||_F / ||X*||_F no more than a small factor of what eigh in the same type reaches on the same matrix."""
    true = judgeable_truths(implementation, problem)
    rival = metrics.relative_error(spectral(question(problem)).double().numpy(), true.value)
    u = implementation.unit_roundoff(problem.dtype)
    budget = np.array([budgets.versus_eigh(u, problem.n, k, e) for k, e in zip(true.kappa, rival, strict=True)])
    return compare(answer(implementation, problem), true, budget)


def judgeable_truths(implementation: Implementation, problem: Problem) -> Truths:
    """The truth for a problem, if the type has a correct digit left at its condition.

    Raises:
        NotRun: if it has none.
    """
    true = truths(problem, implementation.target)
    require_judgeable(implementation, problem.dtype, true)
    return true


def _distance_from_truth(implementation: Implementation, problem: Problem) -> Measurement:
    true = judgeable_truths(implementation, problem)
    return compare(answer(implementation, problem), true, allowed(implementation, problem.dtype, true))


def compare(X: Batch, true: Truths, budget: Batch) -> Measurement:
    """The worst matrix's forward error beside its budget, provided that the truth is ten times better than that.

    X may have the batch several times over, (..., batch, n, n).

    Raises:
        NotRun: if the truth is too coarse to judge.
    """
    if (true.relative_error > budget / 10).any():
        coarse = true.relative_error.max()
        raise NotRun(f"the truth ({true.source}) is known to {coarse:.1e} only, the budget is {budget.min():.1e}")
    _require_meaning(budget)
    error = metrics.relative_error(X, true.value)
    return Measurement(*metrics.worst(error.ravel(), np.broadcast_to(budget, error.shape).ravel()), _evidence(true))


def require_judgeable(implementation: Implementation, dtype: torch.dtype, true: Truths) -> None:
    """Raise `NotRun` if the products have no correct digit left on this problem, however they are arranged."""
    condition = min(float(true.kappa.max()), amplification(implementation.target))
    collected = max(running_error(implementation.target, eigenvalues) for eigenvalues in true.eigenvalues)
    if implementation.unit_roundoff(dtype) * max(condition, collected) > budgets.BEYOND:
        raise NotRun(f"beyond {dtype_name(dtype)}: u times the condition of the target exceeds {budgets.BEYOND}")


def _identity(implementation: Implementation, problem: Problem) -> tuple[Truths, Batch, Batch]:
    """What the identities are made of: the truth for its condition numbers, the answer X and the matrix A."""
    true = judgeable_truths(implementation, problem)
    return true, answer(implementation, problem), question(problem).double().numpy()


def _worst(
    measured: Batch, formula: budgets.Formula, implementation: Implementation, problem: Problem, true: Truths
) -> Measurement:
    u = implementation.unit_roundoff(problem.dtype)
    budget = np.array([formula(u, problem.n, k) for k in true.kappa])
    _require_meaning(budget)
    return Measurement(*metrics.worst(measured, budget), _evidence(true))


def _require_meaning(budget: Batch) -> None:
    if (budget > budgets.VACUOUS).any():
        raise NotRun(f"the budget exceeds {budgets.VACUOUS}: an answer with nothing right would pass")


def _evidence(true: Truths) -> dict[str, float | str]:
    return {
        "kappa": float(true.kappa.max()),
        "truth": true.source,
        "truth_error": float(true.relative_error.max()),
    }
