"""The fit of times is exact on exact laws, and its interval holds the true exponent as often as it says."""

import numpy as np
import pytest

from ndbench.timing.synthetic import correlated
from ndbench.verify.scaling import power_law
from ndbench.verify.scaling.power_law import Exponent, exponent, fit, relative_exponent

KERNELS = range(1, 10)
ORDERS = (16, 32, 64, 96, 144, 216, 288, 432, 576, 864, 1152)


@pytest.mark.parametrize("p", [0.5, 1.0, 2.3, 3.0, 4.0])
@pytest.mark.parametrize("a", [0.0, 1e-5, 3e-3])
def test_an_exact_law_is_found(a, p):
    law = fit(ORDERS, [a + 1e-9 * n**p for n in ORDERS])
    if a < 1e3 * 1e-9 * ORDERS[-1] ** p:
        assert law.p == pytest.approx(p, abs=0.02)
        assert law.a == pytest.approx(a, rel=1e-3, abs=1e-9)


def test_without_the_intercept_the_exponent_would_be_too_small():
    """Launches cost the same at every size."""
    seconds = [1e-3 + 1e-5 * k**4 for k in KERNELS]
    naive = np.polyfit(np.log(KERNELS), np.log(seconds), 1)[0]
    assert naive < 2.5
    assert fit(KERNELS, seconds).p == pytest.approx(4, abs=1e-3)


@pytest.mark.parametrize("seconds", [[1.0, 2.0, 3.0], [1.0, 2.0, 0.0, 3.0], [1.0, float("nan"), 2.0, 3.0]])
def test_too_few_sizes_and_impossible_times_are_refused(seconds):
    with pytest.raises(ValueError, match=r"^fit: there must be 4 sizes or more, with positive times; got \["):
        fit(range(1, len(seconds) + 1), seconds)


def noisy(sizes, law, seed):
    """Twelve samples of each size, which disturbances of 3 % make longer."""
    a, b, p = law
    rng = np.random.default_rng(seed)
    return [(a + b * x**p) * np.exp(0.03 * abs(rng.standard_normal(12))) for x in sizes]


def slowly_disturbed(sizes, law, seed, r=0.7):
    """Twenty samples of each size with noise of 3 %, of which successive ones have the correlation r."""
    a, b, p = law
    rng = np.random.default_rng(seed)
    return [(a + b * x**p) * correlated(rng, 20, r)[0] for x in sizes]


@pytest.mark.parametrize(("sizes", "a", "b", "p"), [(KERNELS, 1e-4, 1e-5, 4), (ORDERS, 1e-4, 1e-10, 3)])
def test_the_interval_covers_the_true_exponent(sizes, a, b, p):
    """Of 30 intervals of 95 % at least 26, which are narrow enough to say something."""
    found = [exponent(sizes, noisy(sizes, (a, b, p), seed), resamples=100, seed=seed) for seed in range(30)]
    assert sum(e.low <= p <= e.high for e in found) >= 26
    assert np.median([e.high - e.low for e in found]) < 0.3


def missed(samples):
    found = [exponent(KERNELS, samples(KERNELS, (1e-4, 1e-5, 4), seed), resamples=100, seed=seed) for seed in range(60)]
    return sum(not e.low <= 4 <= e.high for e in found)


def test_correlated_samples_widen_the_interval(monkeypatch):
    assert missed(slowly_disturbed) <= 6
    monkeypatch.setattr(power_law, "_spread", lambda samples: samples)
    assert missed(slowly_disturbed) >= 12


def test_an_interval_is_reproducible_and_moves_with_the_exponent():
    one, two = (exponent(KERNELS, noisy(KERNELS, (1e-4, 1e-5, p), 0), resamples=20) for p in (2, 3))
    assert one == exponent(KERNELS, noisy(KERNELS, (1e-4, 1e-5, 2), 0), resamples=20)
    assert isinstance(one, Exponent)
    assert one.high < two.low


def test_only_the_upper_half_counts():
    """Below the cache's size another law may hold."""
    samples = [[k**4 if k > 4 else 50 * k] * 5 for k in KERNELS]
    assert exponent(KERNELS, samples, resamples=5).p == pytest.approx(4, abs=1e-3)


def test_what_slows_both_cancels_in_a_ratio():
    """As caches that are too small from some size on."""
    slowed = [k**2 * (1 if k < 7 else 3.0) for k in KERNELS]
    reference, times = ([[t * k**p] * 5 for t, k in zip(slowed, KERNELS, strict=True)] for p in (0, 1))
    assert relative_exponent(KERNELS, times, reference, resamples=5).p == pytest.approx(1)
    assert exponent(KERNELS, reference, resamples=5).p > 3


@pytest.mark.parametrize("p", [0.0, 1.0])
def test_the_interval_of_a_ratio_covers_its_exponent(p):
    """Of 30 intervals of 95 % at least 26, which tell 0 from 1."""
    found = []
    for seed in range(30):
        own, reference = noisy(KERNELS, (0, 1e-5, 2 + p), seed), noisy(KERNELS, (0, 1e-5, 2), 100 + seed)
        found.append(relative_exponent(KERNELS, own, reference, resamples=100, seed=seed))
    assert sum(e.low <= p <= e.high for e in found) >= 26
    assert np.median([e.high - e.low for e in found]) < 0.3
