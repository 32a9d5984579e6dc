"""Targets applied to a spectrum: the vector f(lambda) in V diag(f(lambda)) V^T.

The whole spectrum of one matrix comes together, because the iterations divide by ||A||_F = sqrt(sum lambda^2) or
scale by the determinant. Vectors are numpy arrays: of float64 or long double, or of mpmath numbers as objects;
`balls` adds vectors of balls.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np

from ndbench.targets import Steps, Target
from ndbench.verify.oracles.coefficients import DIGITS
from ndbench.verify.oracles.recurrences import is_polynomial, t_steps


@dataclass(frozen=True)
class Spectrum:
    """The algebra of vectors of eigenvalues, with elementwise product.

    Attributes:
        sqrt, log, exp: elementwise functions of a vector or a number.
        number: conversion of an mpmath number.
    """

    sqrt: Callable[[Any], Any]
    log: Callable[[Any], Any]
    exp: Callable[[Any], Any]
    number: Callable[[Any], Any]

    def norm(self, A: Any) -> Any:
        """Return sqrt(sum lambda^2)."""
        return self.sqrt((A * A).sum())

    def inverse(self, X: Any) -> Any:
        """Return 1 / lambda."""
        return 1 / X

    def determinantal_scale(self, M: Any) -> Any:
        """Return exp(-sum log|lambda| / (2 n))."""
        return self.exp(-self.log(abs(M)).sum() / (2 * len(M)))


def floats(dtype: type[np.floating[Any]]) -> Spectrum:
    """Return the algebra of vectors of one of numpy's floating-point types."""
    return Spectrum(np.sqrt, np.log, np.exp, lambda value: dtype(mpmath.nstr(value, DIGITS)))


MULTIPRECISION = Spectrum(
    np.frompyfunc(mpmath.sqrt, 1, 1), np.frompyfunc(mpmath.log, 1, 1), np.frompyfunc(mpmath.exp, 1, 1), mpmath.mpf
)


def of_spectrum(target: Target, eigenvalues: Any, algebra: Spectrum) -> Any:
    """Return f(lambda), in the type of the eigenvalues.

    Example:
        >>> from ndbench.targets import Exact
        >>> of_spectrum(Exact(), np.array([4.0, 16.0]), floats(np.float64))
        array([0.5 , 0.25])
    """
    if isinstance(target, Steps):
        return t_steps(eigenvalues, target, algebra)
    return 1 / algebra.sqrt(eigenvalues)


def sensitivity(target: Target, eigenvalues: Any, shift: Any, algebra: Spectrum) -> float:
    """Estimate ||f(A + E) - f(A)||_F / ||f(A)||_F for symmetric ||E||_F = shift.

    ||f(A + E) - f(A)||_F <= L ||E||_F, with L the largest |f'| on the spectra (Higham 2008, section 3.2, for Hermitian
    matrices). L is taken from f at the eigenvalues moved up and down; it is infinite where that leaves f's domain.
    """
    if not is_polynomial(target) and min(eigenvalues) <= shift:
        return float("inf")
    up, here, down = (of_spectrum(target, eigenvalues + s, algebra) for s in (shift, 0 * shift, -shift))
    return float(max(abs(up - down)) / algebra.norm(here)) / 2
