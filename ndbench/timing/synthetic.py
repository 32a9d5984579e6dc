"""Samples with a known difference, in kinds of noise that timings have: what the error rates are measured on."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

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
        samples: worth thirty independent ones, with which 95 % of slowdowns by a tenth must be called slower.
    """

    name: str
    draw: Callable[[np.random.Generator, int], Array]
    shared: bool = False
    samples: int = 30


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


def correlated(rng: np.random.Generator, n: int, r: float = CORRELATION) -> Array:
    """1 + an autoregressive process of standard deviation sigma, for each of the two by itself.

    Args:
        rng: what draws.
        n: samples of each.
        r: the correlation of successive samples.
    """
    fresh = rng.standard_normal((2, n))
    found = fresh.copy()
    for i in range(1, n):
        found[:, i] = r * found[:, i - 1] + np.sqrt(1 - r**2) * fresh[:, i]
    return 1 + SIGMA * found


def opposed(rng: np.random.Generator, n: int, rho: float) -> Array:
    """Normal, with the correlation rho between the two samples of a round."""
    x, z = rng.standard_normal((2, n))
    return 1 + SIGMA * np.stack([x, rho * x + np.sqrt(1 - rho**2) * z])


def drifting(rng: np.random.Generator, n: int) -> Array:
    """Normal, times a random walk that both share: it comes to a factor of about 3 over thirty rounds."""
    return drifting_and_correlated(rng, n, 0.0)


def drifting_and_correlated(rng: np.random.Generator, n: int, r: float) -> Array:
    """The same walk, and noise whose successive samples have the correlation r."""
    return correlated(rng, n, r) * np.exp(np.cumsum(0.2 * rng.standard_normal(n)))


NOISES = (
    Noise("normal", normal),
    Noise("skewed", skewed),
    Noise("outliers", outliers),
    # thirty independent samples are worth ninety of these
    Noise("correlated", correlated, samples=90),
    Noise("drifting", drifting, shared=True),
)

CORRELATIONS = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9)
"""Of successive samples, for which the coverage of the intervals is measured."""
CORRELATED = (
    *(Noise(f"successive {r:.1f}", partial(correlated, r=r)) for r in CORRELATIONS),
    *(Noise(f"drifting, {r:.1f}", partial(drifting_and_correlated, r=r), shared=True) for r in CORRELATIONS),
    *(Noise(f"within rounds {rho:.1f}", partial(opposed, rho=rho), shared=True) for rho in (-0.7, 0.5)),
)
"""Kinds of correlation; what is within rounds exists in pairs only."""


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
