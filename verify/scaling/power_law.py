"""Times as a power of a size, t = a + b x^p, and how sure the power is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ndbench.timing.intervals import correlation_time

Array = NDArray[Any]
T = TypeVar("T")

POWERS = np.linspace(0.05, 10, 200)
"""Exponents that are tried first; the best of them is refined."""
REFINED = np.linspace(-1, 1, 41)
REFINEMENTS = 5
"""Times that an interval of two steps is divided into forty."""
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

    For a given p the law is linear in a and b, so that p alone is searched for.

    Args:
        sizes: x, ascending, at least `FEWEST`.
        seconds: t at each.

    Raises:
        ValueError: fewer sizes, or times that are not positive.

    Example:
        >>> law = fit([1, 2, 4, 8, 16], [3.0, 5.0, 13.0, 45.0, 173.0])
        >>> print(f"{law.a:.3f} {law.b:.3f} {law.p:.3f}")
        2.333 0.667 2.000

    References:
        Golub and Pereyra, The differentiation of pseudo-inverses and nonlinear least squares problems whose variables
        separate, 1973.
    """
    a, b, p = (float(value[0]) for value in _fitted(np.asarray(sizes, float), np.asarray([seconds], float)))
    return PowerLaw(a, b / float(sizes[-1]) ** p, p)


def exponent(
    sizes: Sequence[float], samples: Sequence[Sequence[float]], resamples: int = 1000, seed: int = 0
) -> Exponent:
    """The exponent over the upper half of the sizes, with its 95 % interval.

    The time of a size is the lower quartile of its samples, since disturbances only ever add time. The bootstrap draws
    each size's samples anew, as many with replacement, and fits again. Successive samples are correlated, which draws
    with replacement do not show: each size's are first moved away from their quartile, on logarithms, by the square
    root of their correlation time, as the intervals of `ndbench.timing.compare` are widened.

    Args:
        sizes: x, ascending.
        samples: times at each, in seconds.
        resamples: of the bootstrap.
        seed: of its draws.

    References:
        Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13 (percentile interval).
    """
    x, taken = np.asarray(upper_half(sizes), float), [np.asarray(s, float) for s in upper_half(samples)]
    again = _resampled(taken, resamples, np.random.default_rng(seed))
    low, high = np.quantile(_fitted(x, again)[2], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Exponent(fit(list(x), [float(_typical(s)) for s in taken]).p, float(low), float(high))


def relative_exponent(
    sizes: Sequence[float],
    samples: Sequence[Sequence[float]],
    reference: Sequence[Sequence[float]],
    resamples: int = 1000,
    seed: int = 0,
) -> Exponent:
    """The power with which a time outgrows another over the upper half of the sizes, with its 95 % interval.

    It is the slope of a straight line through the logarithms of t / t', of lower quartiles; the bootstrap is that of
    :func:`exponent`, of both. What a machine adds to both, as caches that are too small, cancels.

    Args:
        sizes: x, ascending.
        samples: times t at each, in seconds.
        reference: times t' at each.
        resamples: of the bootstrap.
        seed: of its draws.

    Example:
        >>> squares, lines = [[1.0], [4.0], [16.0], [64.0]], [[3.0], [6.0], [12.0], [24.0]]
        >>> print(f"{relative_exponent([1, 2, 4, 8], squares, lines).p:.3f}")
        1.000
    """
    x, rng = np.log(np.asarray(upper_half(sizes), float)), np.random.default_rng(seed)
    both = [[np.asarray(s, float) for s in upper_half(times)] for times in (samples, reference)]
    centered = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    t, of_reference = (np.log(_resampled(taken, resamples, rng)) for taken in both)
    low, high = np.quantile((t - of_reference) @ centered, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    ratios = [math.log(_typical(s) / _typical(r)) for s, r in zip(*both, strict=True)]
    return Exponent(float(ratios @ centered), float(low), float(high))


def _resampled(taken: Sequence[Array], resamples: int, rng: np.random.Generator) -> Array:
    """Lower quartiles (R, sizes) of each size's samples drawn anew."""
    return np.stack([_typical(rng.choice(_spread(s), (resamples, len(s)))) for s in taken], axis=-1)


def upper_half(values: Sequence[T]) -> Sequence[T]:
    """The values of the larger half of the sizes, but of `FEWEST` at least."""
    return values[max(0, min(len(values) // 2, len(values) - FEWEST)) :]


def _typical(samples: Array) -> Array:
    return np.asarray(np.quantile(samples, 0.25, axis=-1))


def _spread(samples: Array) -> Array:
    """Samples with the same lower quartile, further from it: independent ones whose quartile is as uncertain."""
    quartile = _typical(samples)
    return np.asarray(quartile * (samples / quartile) ** np.sqrt(correlation_time(samples)))


def _fitted(x: Array, t: Array) -> tuple[Array, Array, Array]:
    """The best a, b (at the largest size) and p for each row of times (R, sizes)."""
    if len(x) < FEWEST or not (t > 0).all():
        raise ValueError(f"fit: there must be {FEWEST} sizes or more, with positive times; got {t[0].tolist()}")
    x, tried, step = x / x[-1], np.broadcast_to(POWERS[:, None], (len(POWERS), len(t))), POWERS[1] - POWERS[0]
    for _ in range(REFINEMENTS + 1):
        best = _linear(x, t, tried)[2].argmin(0)
        p = np.take_along_axis(tried, best[None], 0)
        tried = np.clip(p + step * REFINED[:, None], POWERS[0], POWERS[-1])
        step /= len(REFINED) // 2
    a, b, _ = _linear(x, t, p)
    return a[0], b[0], p[0]


def _linear(x: Array, t: Array, p: Array) -> tuple[Array, Array, Array]:
    """The best a and b for exponents p (P, R), zero where they would be negative, and their squares, (P, R) each."""
    u, v = 1 / t, x ** p[..., None] / t
    uu, uv, vv, su, sv = (u * u).sum(-1), (u * v).sum(-1), (v * v).sum(-1), u.sum(-1), v.sum(-1)
    determinant = uu * vv - uv**2
    a, b = (su * vv - sv * uv) / determinant, (sv * uu - su * uv) / determinant
    alone = a < 0
    constant = (b < 0) & ~alone
    a = np.where(alone, 0.0, np.where(constant, su / uu, a))
    b = np.where(constant, 0.0, np.where(alone, sv / vv, b))
    return a, b, ((a[..., None] * u + b[..., None] * v - 1) ** 2).sum(-1)
