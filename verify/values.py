"""Checks of the values of an inverse square root against the truth and against its defining identities."""

import numpy as np
import torch
from numpy.typing import NDArray

from ndbench.catalog import Implementation
from ndbench.problems import Problem, dtype_name
from ndbench.roots import spectral
from ndbench.verify import budgets, metrics
from ndbench.verify.answers import Truths, answer, question, truths
from ndbench.verify.budgets import unit_roundoff
from ndbench.verify.check import Measurement
from ndbench.verify.conditioning import amplification, running_error
from ndbench.verify.verdict import NotRun

Batch = NDArray[np.float64]


def forward(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X*||_F / ||X*||_F <= u max(1, kappa / 2) (16 + n / 8), X* the certified or float64 root."""
    true = _judgeable(implementation, problem)
    allowed = np.array([budgets.forward(unit_roundoff(problem.dtype), problem.n, k) for k in true.kappa])
    return compare(answer(implementation, problem), true, allowed)


def steps(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X*||_F / ||X*||_F <= u (min(amplification, kappa / 2) + r) (8 + n / 16), X* the true T-step map.

    r is the running error of the steps (`conditioning.running_error`), at least 1.
    """
    true = _judgeable(implementation, problem)
    u, target = unit_roundoff(problem.dtype), implementation.target
    allowed = np.array(
        [
            budgets.steps(u, problem.n, min(amplification(target), k / 2), running_error(target, eigenvalues))
            for k, eigenvalues in zip(true.kappa, true.eigenvalues, strict=True)
        ]
    )
    return compare(answer(implementation, problem), true, allowed)


def whitening(implementation: Implementation, problem: Problem) -> Measurement:
    """||X A X - I||_F / sqrt(n) <= 2 (n + 10) u kappa: D whitens what A is the covariance of."""
    true, X, A = _identity(implementation, problem)
    residual = metrics.frobenius(X @ A @ X - np.eye(problem.n)) / np.sqrt(problem.n)
    return _worst(residual, budgets.whitening, problem, true)


def commutation(implementation: Implementation, problem: Problem) -> Measurement:
    """||X A - A X||_F / (||X|| ||A||) <= 2 (n + 10) u sqrt(kappa): a function of A commutes with A."""
    true, X, A = _identity(implementation, problem)
    norms = metrics.spectral_norm(X) * true.eigenvalues[:, -1]
    return _worst(metrics.frobenius(X @ A - A @ X) / norms, budgets.commutation, problem, true)


def symmetry(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X^T||_F / ||X|| <= (n + 10) u kappa: a function of a symmetric matrix is symmetric."""
    true, X, _ = _identity(implementation, problem)
    return _worst(metrics.frobenius(X - X.mT) / metrics.spectral_norm(X), budgets.symmetry, problem, true)


def definiteness(implementation: Implementation, problem: Problem) -> Measurement:
    """lambda_min(X*) - lambda_min(X) <= the forward budget times ||X*||.

    By Weyl's inequality an answer within its forward budget cannot lose more of its smallest eigenvalue, which is what
    keeps the root positive definite.
    """
    true = _judgeable(implementation, problem)
    lost = metrics.eigenvalues(true.value)[:, 0] - metrics.eigenvalues(answer(implementation, problem))[:, 0]
    return _worst(lost / metrics.spectral_norm(true.value), budgets.forward, problem, true)


def versus_eigh(implementation: Implementation, problem: Problem) -> Measurement:
    """||X - X*||_F / ||X*||_F no more than a small factor of what eigh in the same type reaches on the same matrix."""
    if problem.dtype in (torch.float16, torch.bfloat16):
        raise NotRun(f"there is no eigh in {dtype_name(problem.dtype)} to compare with")
    true = _judgeable(implementation, problem)
    rival = metrics.relative_error(spectral(question(problem)).double().numpy(), true.value)
    u = unit_roundoff(problem.dtype)
    allowed = np.array([budgets.versus_eigh(u, problem.n, k, e) for k, e in zip(true.kappa, rival, strict=True)])
    return compare(answer(implementation, problem), true, allowed)


def compare(X: Batch, true: Truths, allowed: Batch) -> Measurement:
    """The worst matrix's forward error beside its budget, provided that the truth is ten times better than that.

    Raises:
        NotRun: if the truth is too coarse to judge.
    """
    if (true.relative_error > allowed / 10).any():
        coarse = true.relative_error.max()
        raise NotRun(f"the truth ({true.source}) is known to {coarse:.1e} only, the budget is {allowed.min():.1e}")
    measured, budget = metrics.worst(metrics.relative_error(X, true.value), allowed)
    return Measurement(measured, budget, _evidence(true))


def require_judgeable(implementation: Implementation, dtype: torch.dtype, kappa: float) -> None:
    """Raise `NotRun` if the type has no correct digit left at this condition, whatever the implementation does."""
    sensitivity = min(kappa, amplification(implementation.target))
    if unit_roundoff(dtype) * sensitivity > budgets.BEYOND:
        raise NotRun(f"beyond {dtype_name(dtype)}: u times the condition of the target exceeds {budgets.BEYOND}")


def _judgeable(implementation: Implementation, problem: Problem) -> Truths:
    true = truths(problem, implementation.target)
    require_judgeable(implementation, problem.dtype, float(true.kappa.max()))
    return true


def _identity(implementation: Implementation, problem: Problem) -> tuple[Truths, Batch, Batch]:
    """What the identities are made of: the truth for its condition numbers, the answer X and the matrix A."""
    true = _judgeable(implementation, problem)
    return true, answer(implementation, problem), question(problem).double().numpy()


def _worst(measured: Batch, formula: budgets.Formula, problem: Problem, true: Truths) -> Measurement:
    allowed = np.array([formula(unit_roundoff(problem.dtype), problem.n, k) for k in true.kappa])
    return Measurement(*metrics.worst(measured, allowed), _evidence(true))


def _evidence(true: Truths) -> dict[str, float | str]:
    return {
        "kappa": float(true.kappa.max()),
        "truth": true.source,
        "truth_error": float(true.relative_error.max()),
    }
