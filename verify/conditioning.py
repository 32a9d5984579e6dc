"""How far rounding can move the map of T steps: the condition of a target, and the running error of its polynomials."""

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ndbench.targets import Exact, Target
from ndbench.verify.oracles.coefficients import minimax_coefficients

Coefficients = tuple[float, float, float]


@lru_cache(maxsize=64)
def polynomials(target: Target) -> tuple[Coefficients, ...]:
    """(a, b, c) of each step of a polynomial iteration, from the oracle; none for the others."""
    if isinstance(target, Exact) or target.iteration.startswith("denman_beavers"):
        return ()
    if target.iteration == "newton_schulz":
        return ((1.5, -0.5, 0.0),) * target.steps
    degree = 3 if target.iteration == "minimax_cubic" else 5
    found = minimax_coefficients(degree, target.lower, target.steps)
    return tuple((float(a), float(b), float(c[0]) if c else 0.0) for a, b, *c in found)


def amplification(target: Target) -> float:
    """The factor by which a target may multiply a perturbation of a small eigenvalue: prod a_k^2 of its polynomials.

    Methods that invert have no polynomials, and nothing bounds them but the condition of the root.
    """
    steps = polynomials(target)
    return math.prod(a * a for a, _, _ in steps) if steps else math.inf


def running_error(target: Target, eigenvalues: NDArray[np.float64]) -> float:
    """The relative error, in units u, that T polynomial steps collect on the worst eigenvalue; 0 without polynomials.

    With s = sqrt(eigenvalue of Z Y), a step q(s) = a s + b s^3 + c s^5 passes a relative error on with the factor
    |s q'(s) / q(s)| and adds one of (a s + |b| s^3 + |c| s^5) / |q(s)| units by cancellation. Newton-Schulz
    cancels by a factor of 2 at most; a minimax step that takes 1 to 1 - d near 0 cancels by 30 and more.
    """
    s = np.sqrt(eigenvalues / np.linalg.norm(eigenvalues))
    error = np.zeros_like(s)
    for a, b, c in polynomials(target):
        terms = np.stack([a * s, b * s**3, c * s**5])
        q = terms.sum(axis=0)
        passed_on = np.abs(terms[0] + 3 * terms[1] + 5 * terms[2])
        added = np.abs(terms).sum(axis=0)
        error = (passed_on * error + added) / np.abs(q)
        s = q
    return float(error.max())
