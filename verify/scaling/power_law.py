"""Times as a power of a size, t = a + b x^p, and how sure the power is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import least_squares

Array = NDArray[Any]

POWERS = (0.0, 10.0)
"""Between which p is sought."""
STARTS = np.linspace(0.25, 6, 24)
FEWEST = 4
"""Sizes for three parameters."""
LEVEL = 0.95


@dataclass(frozen=True)
class PowerLaw:
    """The law t = a + b x^p: a is what a call costs whatever its size.

    Attributes:
        a: seconds, not negative.
        b: seconds at x = 1, not negative.
        p: the exponent.
    """

    a: float
    b: float
    p: float


@dataclass(frozen=True)
class Exponent:
    """An exponent and the interval of its bootstrap.

    Attributes:
        p: from the samples themselves.
        low: 2.5 % of the resamples lie below.
        high: 2.5 % lie above.
    """

    p: float
    low: float
    high: float


def fit(sizes: Sequence[float], seconds: Sequence[float]) -> PowerLaw:
    """The law with the least squares of relative errors, a and b not negative.

    For a given p the law is linear in a and b, so the best p of a few is the start of the nonlinear least squares.

    Args:
        sizes: x, ascending, at least `FEWEST`.
        seconds: t at each.

    Raises:
        ValueError: fewer sizes, or times that are not positive.

    Example:
        >>> law = fit([1, 2, 4, 8, 16], [3.0, 5.0, 13.0, 45.0, 173.0])
        >>> print(f"{law.a:.3f} {law.b:.3f} {law.p:.3f}")
        2.333 0.667 2.000
    """
    x, t = np.asarray(sizes, float), np.asarray(seconds, float)
    if len(x) < FEWEST or not (t > 0).all():
        raise ValueError(f"fit: there must be {FEWEST} sizes or more, with positive times; got {list(seconds)}")
    scaled = x / x[-1]
    best = min((_linear(scaled, t, p) for p in STARTS), key=lambda start: _squares(start, scaled, t))
    lower, upper = [0.0, 0.0, POWERS[0]], [np.inf, np.inf, POWERS[1]]
    found = least_squares(_relative_errors, best, bounds=(lower, upper), x_scale=[t[-1], t[-1], 1.0], args=(scaled, t))
    a, b, p = (float(value) for value in found.x)
    return PowerLaw(a, b / float(x[-1]) ** p, p)


def exponent(
    sizes: Sequence[float], samples: Sequence[Sequence[float]], resamples: int = 200, seed: int = 0
) -> Exponent:
    """The exponent over the upper half of the sizes, with its 95 % interval.

    The time of a size is the lower quartile of its samples, since disturbances only ever add time. The bootstrap draws
    each size's samples anew, as many with replacement, and fits again.

    Args:
        sizes: x, ascending.
        samples: times at each, in seconds.
        resamples: of the bootstrap.
        seed: of its draws.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).
    """
    first = min(len(sizes) // 2, len(sizes) - FEWEST)
    upper, taken = list(sizes[max(first, 0) :]), [np.asarray(s, float) for s in samples[max(first, 0) :]]
    rng = np.random.default_rng(seed)
    powers = [fit(upper, [_typical(rng.choice(s, len(s))) for s in taken]).p for _ in range(resamples)]
    low, high = np.quantile(powers, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Exponent(fit(upper, [_typical(s) for s in taken]).p, float(low), float(high))


def _typical(samples: Array) -> float:
    return float(np.quantile(samples, 0.25))


def _relative_errors(parameters: Array, x: Array, t: Array) -> Array:
    a, b, p = parameters
    return np.asarray((a + b * x**p) / t - 1)


def _squares(parameters: Array, x: Array, t: Array) -> float:
    return float((_relative_errors(parameters, x, t) ** 2).sum())


def _linear(x: Array, t: Array, p: float) -> Array:
    """The best a and b for this p; where one would be negative it is zero."""
    columns = np.stack([1 / t, x**p / t], axis=1)
    a, b = np.linalg.lstsq(columns, np.ones_like(t), rcond=None)[0]
    if a < 0 or b < 0:
        alone = columns.sum(0) / (columns**2).sum(0)
        a, b = min((alone[0], 0.0), (0.0, alone[1]), key=lambda ab: _squares(np.array([*ab, p]), x, t))
    return np.array([a, b, p])
