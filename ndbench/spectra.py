"""Planted spectra: n eigenvalues in [1 / condition, 1], both ends attained, in descending order, float64.

The first five are the modes of LAPACK's matrix generator xLATMS.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Spectrum = NDArray[np.float64]


def geometric(n: int, condition: float, rng: np.random.Generator) -> Spectrum:
    """Evenly spaced logarithms."""
    return np.geomspace(1, 1 / condition, n, dtype=np.float64)


def arithmetic(n: int, condition: float, rng: np.random.Generator) -> Spectrum:
    """Evenly spaced values."""
    return np.linspace(1, 1 / condition, n, dtype=np.float64)


def one_small(n: int, condition: float, rng: np.random.Generator) -> Spectrum:
    """One eigenvalue 1 / condition, the others 1."""
    return np.append(np.ones(n - 1), 1 / condition)


def one_large(n: int, condition: float, rng: np.random.Generator) -> Spectrum:
    """One eigenvalue 1, the others 1 / condition."""
    return np.insert(np.full(n - 1, 1 / condition), 0, 1.0)


def log_uniform(n: int, condition: float, rng: np.random.Generator) -> Spectrum:
    """Random, with uniformly distributed logarithms."""
    inner = np.exp(-rng.uniform(0, np.log(condition), max(n - 2, 0)))
    return np.concatenate([[1.0], -np.sort(-inner), [1 / condition]])[:n]


def two_clusters(n: int, condition: float, rng: np.random.Generator) -> Spectrum:
    """Half the eigenvalues within 0.1 % of 1, half within 0.1 % of 1 / condition."""
    upper = 1 - 1e-3 * np.linspace(0, 1, (n + 1) // 2)
    lower = 1 + 1e-3 * np.linspace(0, 1, n // 2)[::-1]
    return np.append(upper, lower / condition)


def repeated(n: int, condition: float, rng: np.random.Generator) -> Spectrum:
    """Powers of 4 from 1 down to the last one not below 1 / condition, each several times where n allows."""
    powers = int(np.floor(np.log(condition) / np.log(4) + 1e-9))
    exponents = np.rint(np.linspace(0, powers, n))
    return np.power(4.0, -exponents)


SPECTRA: dict[str, Callable[[int, float, np.random.Generator], Spectrum]] = {
    f.__name__: f for f in (one_large, one_small, geometric, arithmetic, log_uniform, two_clusters, repeated)
}
