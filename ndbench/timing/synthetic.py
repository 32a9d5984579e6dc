"""Samples with a known difference, in kinds of noise that timings have: what the error rates are measured on."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ndbench.timing.samples import Samples

Array = NDArray[np.float64]
SIGMA = 0.03
"""Relative standard deviation of the noise, outliers apart."""
OUTLIERS = 0.1
"""Share of samples that something else disturbed."""
CORRELATION = 0.5
"""Of successive samples."""


@dataclass(frozen=True)
class Noise:
    """Times of two versions whose true ratio is 1.

    Attributes:
        name: of the kind.
        draw: factors (2, n) on the true time, of base and head, from a generator and n.
        shared: whether both suffer from it in the same rounds, so that only paired samples can be compared.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Array]
    shared: bool = False


def normal(rng: np.random.Generator, n: int) -> Array:
    """1 + sigma z."""
    return 1 + SIGMA * rng.standard_normal((2, n))


def skewed(rng: np.random.Generator, n: int) -> Array:
    """1 + sigma e with e exponential: disturbances only add time."""
    return 1 + SIGMA * rng.standard_exponential((2, n))


def outliers(rng: np.random.Generator, n: int) -> Array:
    """Normal, and one sample in ten takes twice as long on average."""
    slow = rng.random((2, n)) < OUTLIERS
    return normal(rng, n) * np.where(slow, 1 + rng.standard_exponential((2, n)), 1)


def correlated(rng: np.random.Generator, n: int) -> Array:
    """1 + an autoregressive process of standard deviation sigma, for each of the two by itself."""
    fresh = rng.standard_normal((2, n))
    found = fresh.copy()
    for i in range(1, n):
        found[:, i] = CORRELATION * found[:, i - 1] + np.sqrt(1 - CORRELATION**2) * fresh[:, i]
    return 1 + SIGMA * found


def drifting(rng: np.random.Generator, n: int) -> Array:
    """Normal, times a random walk that both share: it comes to a factor of about 3 over thirty rounds."""
    return normal(rng, n) * np.exp(np.cumsum(0.2 * rng.standard_normal(n)))


NOISES = (
    Noise("normal", normal),
    Noise("skewed", skewed),
    Noise("outliers", outliers),
    Noise("correlated", correlated),
    Noise("drifting", drifting, shared=True),
)


def pair(noise: Noise, ratio: float, seed: int, n: int = 30, *, together: bool = True) -> tuple[Samples, Samples]:
    """Base and head of n samples, head taking `ratio` times as long.

    Args:
        noise: its kind.
        ratio: true time of head over that of base.
        seed: of the draw.
        n: samples of each.
        together: whether they count as taken in the same rounds.

    Example:
        >>> base, head = pair(NOISES[0], 1.1, seed=0)
        >>> len(base.seconds), 1.05 < sum(head.seconds) / sum(base.seconds) < 1.15
        (30, True)
    """
    base, head = 1e-3 * noise.draw(np.random.default_rng(seed), n)
    rounds = f"synthetic {noise.name} {seed}" if together else ""
    return Samples(tuple(base.tolist()), rounds=rounds), Samples(tuple((ratio * head).tolist()), rounds=rounds)
