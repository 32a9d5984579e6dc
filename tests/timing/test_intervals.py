"""Intervals by ranks: their quantiles by enumeration, and how often they hold the truth."""

from itertools import combinations, product

import numpy as np
import pytest

from ndbench.timing import intervals
from ndbench.timing.intervals import (
    correlation,
    correlation_time,
    of_differences,
    of_samples,
    rank_sum_quantile,
    signed_rank_quantile,
)

TAILS = (0.4, 0.1, 0.025, 0.01, 0.001)


def largest_below(values, tail):
    below = [k for k in range(max(values) + 1) if np.mean(np.array(values) <= k) <= tail]
    return max(below, default=-1)


@pytest.mark.parametrize("n", [1, 2, 5, 9])
@pytest.mark.parametrize("tail", TAILS)
def test_signed_rank_sums_are_enumerated(n, tail):
    sums = [sum(rank for rank, sign in enumerate(signs, 1) if sign) for signs in product((0, 1), repeat=n)]
    assert signed_rank_quantile(n, tail) == largest_below(sums, tail)


@pytest.mark.parametrize(("m", "n"), [(1, 1), (2, 5), (5, 2), (4, 6)])
@pytest.mark.parametrize("tail", TAILS)
def test_rank_sums_are_enumerated(m, n, tail):
    counts = [sum(places) - m * (m - 1) // 2 for places in combinations(range(m + n), m)]
    assert rank_sum_quantile(m, n, tail) == largest_below(counts, tail)


@pytest.mark.parametrize("tail", [0.025, 0.0005])
def test_beyond_the_exact_distributions_the_normal_ones_agree(tail, monkeypatch):
    exact = signed_rank_quantile(60, tail), rank_sum_quantile(50, 50, tail)
    monkeypatch.setattr(intervals, "EXACT_PAIRS", 0)
    monkeypatch.setattr(intervals, "EXACT_COUNT", 0)
    normal = signed_rank_quantile.__wrapped__(60, tail), rank_sum_quantile.__wrapped__(50, 50, tail)
    assert normal == pytest.approx(exact, rel=0.02)


def test_so_few_samples_exclude_nothing():
    assert of_differences(np.ones(3), 0.05).width == np.inf
    assert of_samples(np.ones(3), np.ones(3), 0.05).width == np.inf


def misses(interval_of, alpha=0.1, cases=1000):
    rng = np.random.default_rng(0)
    found = [interval_of(rng, alpha) for _ in range(cases)]
    return np.mean([not interval.low <= 0 <= interval.high for interval in found])


def test_intervals_of_differences_miss_as_often_as_they_may():
    assert 0.07 < misses(lambda rng, alpha: of_differences(rng.standard_cauchy(15), alpha)) < 0.13


def test_intervals_of_samples_miss_as_often_as_they_may():
    draw = np.random.Generator.standard_exponential
    assert 0.07 < misses(lambda rng, alpha: of_samples(draw(rng, 12), draw(rng, 15), alpha)) < 0.13


def autoregressive(r, n, rng):
    x = rng.standard_normal(n)
    for i in range(1, n):
        x[i] = r * x[i - 1] + np.sqrt(1 - r**2) * x[i]
    return x


@pytest.mark.parametrize("r", [0.0, 0.5])
def test_the_correlation_time_is_that_of_an_autoregressive_process(r):
    rng = np.random.default_rng(0)
    found = np.mean([correlation_time(autoregressive(r, 300, rng)) for _ in range(50)])
    assert found == pytest.approx((1 + r) / (1 - r), rel=0.15)


def test_correlated_samples_would_be_missed_without_it():
    def plain(rng, alpha):
        return of_differences(autoregressive(0.5, 100, rng), alpha)

    def widened(rng, alpha):
        d = autoregressive(0.5, 100, rng)
        return of_differences(d, alpha).widened(np.sqrt(correlation_time(d)))

    assert misses(plain) > 0.25
    assert misses(widened) < 0.15


def test_equal_samples_have_no_correlation():
    assert correlation_time(np.ones(10)) == 1


@pytest.mark.parametrize("values", [2, 3])
def test_ties_do_not_correlate_independent_samples(values):
    rng = np.random.default_rng(0)
    tied = np.mean([correlation_time(rng.integers(values, size=30).astype(float)) for _ in range(400)])
    continuous = np.mean([correlation_time(rng.standard_normal(30)) for _ in range(400)])
    assert tied == pytest.approx(continuous, rel=0.08)


def test_the_correlation_of_several_series_is_their_mean():
    rng = np.random.default_rng(0)
    x, y = autoregressive(0.8, 300, rng), rng.standard_normal(300)
    assert correlation_time(y) < correlation_time(x, y) < correlation_time(x)
    assert correlation_time(x, x) == correlation_time(x)


@pytest.mark.parametrize("rho", [-0.7, 0.0, 0.9])
def test_the_correlation_within_rounds_is_that_of_normal_samples(rho):
    rng = np.random.default_rng(0)
    x, z = rng.standard_normal((2, 2000))
    assert correlation(x, rho * x + np.sqrt(1 - rho**2) * z) == pytest.approx(rho, abs=0.05)
    assert correlation(np.ones(9), np.arange(9.0)) == 0
