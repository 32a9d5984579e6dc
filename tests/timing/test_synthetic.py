"""Synthetic samples have the noise that they say."""

import numpy as np
import pytest

from ndbench.timing.synthetic import NOISES, pair


@pytest.mark.parametrize("noise", NOISES, ids=lambda noise: noise.name)
def test_the_true_ratio_is_that_of_the_medians(noise):
    base, head = (np.array(samples.seconds) for samples in pair(noise, 1.1, seed=0, n=4000))
    assert np.median(head / base) == pytest.approx(1.1, rel=0.01)


@pytest.mark.parametrize("name", ["normal", "skewed", "correlated"])
def test_the_noise_is_three_percent(name):
    noise = next(noise for noise in NOISES if noise.name == name)
    base, _ = pair(noise, 1.0, seed=1, n=4000)
    assert np.std(base.seconds) / np.mean(base.seconds) == pytest.approx(0.03, rel=0.1)


def test_one_sample_in_ten_is_an_outlier():
    noise = next(noise for noise in NOISES if noise.name == "outliers")
    base, _ = pair(noise, 1.0, seed=1, n=4000)
    assert np.mean(np.array(base.seconds) > 1.15e-3) == pytest.approx(0.09, abs=0.02)


def test_successive_samples_are_correlated():
    noise = next(noise for noise in NOISES if noise.name == "correlated")
    base, head = pair(noise, 1.0, seed=1, n=4000)
    assert np.corrcoef(base.seconds[1:], base.seconds[:-1])[0, 1] == pytest.approx(0.5, abs=0.05)
    assert np.corrcoef(base.seconds, head.seconds)[0, 1] == pytest.approx(0, abs=0.05)


def test_a_drift_is_shared_and_threefold():
    noise = next(noise for noise in NOISES if noise.shared)
    ranges = []
    for seed in range(50):
        base, head = (np.array(samples.seconds) for samples in pair(noise, 1.0, seed=seed))
        assert np.std(head / base) < 0.1
        ranges.append(base.max() / base.min())
    assert 2 < np.median(ranges) < 5


def test_seeds_decide():
    assert pair(NOISES[0], 1.0, seed=5) == pair(NOISES[0], 1.0, seed=5)
    assert pair(NOISES[0], 1.0, seed=5) != pair(NOISES[0], 1.0, seed=6)
    assert pair(NOISES[0], 1.0, seed=5, together=False)[0].rounds == ""
