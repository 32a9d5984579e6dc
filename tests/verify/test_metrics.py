"""Distances between matrices, with NaN wherever there is no answer."""

from itertools import product

import numpy as np
import pytest

from ndbench.verify import metrics

FIVE_FOUR = np.array([[5.0, 4.0], [4.0, 5.0]])
NAN, INF = np.full((2, 2), np.nan), np.array([[1.0, np.inf], [-np.inf, 1.0]])
MEASURED = [-1.0, 0.0, 0.5, 3.0, np.inf, np.nan]
BUDGETS = [0.0, 0.5, 2.0, np.nan]


def test_frobenius_norm_of_each_matrix():
    assert metrics.frobenius(np.stack([FIVE_FOUR, 2 * np.eye(2)])).tolist() == [82**0.5, 8**0.5]


def test_eigenvalues_of_the_symmetric_part():
    skewed = FIVE_FOUR + np.array([[0, 1], [-1, 0]])
    found = metrics.eigenvalues(np.stack([skewed, -FIVE_FOUR]))
    np.testing.assert_allclose(found, [[1, 9], [-9, -1]], rtol=1e-14)


def test_spectral_norm_is_the_largest_modulus():
    np.testing.assert_allclose(metrics.spectral_norm(np.stack([FIVE_FOUR, -FIVE_FOUR])), [9, 9], rtol=1e-14)


@pytest.mark.parametrize("broken", [NAN, INF], ids=["NaN", "infinite"])
def test_a_matrix_that_is_not_finite_has_nan_and_spares_the_others(broken):
    X = np.stack([broken, FIVE_FOUR])
    assert np.isnan(metrics.eigenvalues(X)).tolist() == [[True, True], [False, False]]
    assert np.isnan(metrics.spectral_norm(X)).tolist() == [True, False]


def test_relative_error():
    true = np.stack([FIVE_FOUR, np.eye(2)])
    np.testing.assert_allclose(metrics.relative_error(true * [[[1.5]], [[-1]]], true), [0.5, 2])


def test_relative_error_of_nan_is_nan():
    assert np.isnan(metrics.relative_error(NAN[None], FIVE_FOUR[None])).all()


@pytest.mark.parametrize(
    ("measured", "budget", "expected"),
    [
        ([1, 3, 2], [2, 4, 8], (3, 4)),
        ([1, 0], [0, 5], (1, 0)),
        ([0, 0], [0, 5], (0, 0)),
        ([5, np.inf], [1, 1], (np.inf, 1)),
    ],
)
def test_worst_is_the_largest_ratio(measured, budget, expected):
    assert metrics.worst(np.array(measured, float), np.array(budget, float)) == expected


def test_nan_is_the_worst_of_all():
    measured, budget = metrics.worst(np.array([np.inf, np.nan, 0]), np.array([0.0, 1, 1]))
    assert np.isnan(measured)
    assert budget == 1


def test_the_worst_of_two_passes_exactly_if_both_do():
    pairs = list(product(MEASURED, BUDGETS))
    passes = {two: np.less_equal(*metrics.worst(*np.array(two).T)) for two in product(pairs, pairs)}
    assert [two for two, passed in passes.items() if passed != all(m <= b for m, b in two)] == []
