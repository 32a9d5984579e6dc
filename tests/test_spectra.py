"""Planted spectra: their ends, their order, and what each promises beyond that."""

import numpy as np
import pytest

from ndbench.spectra import SPECTRA

# a power of 4, so that "repeated" attains it too
CONDITION = 4.0**6
BOTH_ENDS_HAVE_ROOM = {name: 7 if name == "repeated" else 2 for name in SPECTRA}


def spectrum(name, n, condition=CONDITION, seed=0):
    return SPECTRA[name](n, condition, np.random.default_rng(seed))


def test_names_are_those_of_the_functions_in_lapack_order():
    modes = ["one_large", "one_small", "geometric", "arithmetic", "log_uniform"]
    assert list(SPECTRA) == [*modes, "two_clusters", "repeated"]


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("n", [2, 3, 4, 7, 8, 33])
def test_both_ends_are_attained(name, n):
    found = spectrum(name, n)
    assert found[0] == 1
    if n >= BOTH_ENDS_HAVE_ROOM[name]:
        np.testing.assert_allclose(found[-1] * CONDITION, 1, rtol=1e-15)


@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("n", [1, 2, 3, 8, 33])
def test_n_eigenvalues_descend_within_the_interval(name, n):
    found = spectrum(name, n)
    assert (found.shape, found.dtype) == ((n,), np.float64)
    assert (np.diff(found) <= 0).all()
    assert found.max() <= 1
    assert found.min() >= 1 / CONDITION * (1 - 1e-15)


@pytest.mark.parametrize("name", SPECTRA)
def test_one_eigenvalue_is_one_of_the_ends(name):
    assert spectrum(name, 1)[0] in (1, 1 / CONDITION)


# the clusters keep their width of 0.1 %
@pytest.mark.parametrize("name", [name for name in SPECTRA if name != "two_clusters"])
def test_condition_one_is_the_identity(name):
    assert spectrum(name, 8, condition=1.0).tolist() == [1] * 8


def test_values_of_order_four():
    assert spectrum("one_large", 4, 16.0).tolist() == [1, 1 / 16, 1 / 16, 1 / 16]
    assert spectrum("one_small", 4, 16.0).tolist() == [1, 1, 1, 1 / 16]
    np.testing.assert_allclose(spectrum("geometric", 4, 8.0), [1, 1 / 2, 1 / 4, 1 / 8], rtol=1e-15)
    np.testing.assert_allclose(spectrum("arithmetic", 4, 4.0), [1, 3 / 4, 1 / 2, 1 / 4], rtol=1e-15)
    np.testing.assert_allclose(spectrum("two_clusters", 4, 10.0), [1, 0.999, 0.1001, 0.1], rtol=1e-15)


def test_logarithms_are_uniform():
    found = spectrum("log_uniform", 4001, 1e4)
    quantiles = np.quantile(-np.log10(found), [0.25, 0.5, 0.75])
    np.testing.assert_allclose(quantiles, [1, 2, 3], atol=0.1)


def test_only_log_uniform_is_random():
    changed = [name for name in SPECTRA if not np.array_equal(spectrum(name, 9, seed=0), spectrum(name, 9, seed=1))]
    assert changed == ["log_uniform"]
    assert np.array_equal(spectrum("log_uniform", 9), spectrum("log_uniform", 9))


def test_clusters_are_a_thousandth_wide():
    upper, lower = np.split(spectrum("two_clusters", 8), 2)
    np.testing.assert_allclose([upper[0] - upper[-1], (lower[0] - lower[-1]) * CONDITION], 1e-3, rtol=1e-12)


def test_repeated_holds_every_power_of_four_several_times():
    powers, counts = np.unique(spectrum("repeated", 16, 256.0), return_counts=True)
    assert powers.tolist() == [4.0**-k for k in (4, 3, 2, 1, 0)]
    assert counts.min() > 1


def test_repeated_stops_above_a_condition_between_two_powers():
    assert spectrum("repeated", 16, 300.0)[-1] == 1 / 256
