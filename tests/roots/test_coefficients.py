"""Minimax coefficients: optimal by the alternation theorem, and composed greedily."""

from itertools import islice, pairwise

import numpy as np
import pytest
from mpmath import mpf

from ndbench.roots.coefficients import LIMITS, best_odd, minimax_coefficients, schedule

INTERVALS = [(1e-8, 1.01), (0.01, 1.01), (0.3, 1.7), (0.9, 1.1), (0.999, 1.001)]


def odd(coefficients, s):
    a, b, c = (float(x) for x in coefficients)
    return s * (a + s * s * (b + s * s * c))


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize("interval", INTERVALS)
def test_error_equioscillates_at_one_point_more_than_there_are_coefficients(degree, interval):
    *coefficients, distance = best_odd(degree, *map(mpf, interval))
    s = np.linspace(*interval, 200_001)
    error = 1 - odd(coefficients, s)
    assert np.abs(error).max() == pytest.approx(float(distance), rel=1e-4)
    touching = np.flatnonzero(np.abs(error) > 0.999 * float(distance))
    signs = np.sign(error[touching])
    assert 1 + np.count_nonzero(np.diff(signs)) == (degree + 1) // 2 + 1


@pytest.mark.parametrize("degree", [3, 5])
def test_no_nearby_polynomial_is_better(degree):
    *coefficients, distance = best_odd(degree, mpf("0.05"), mpf("1.01"))
    s = np.linspace(0.05, 1.01, 20_001)
    rng = np.random.default_rng(0)
    for _ in range(200):
        nudge = rng.standard_normal(3) * [1, 1, degree == 5] * 1e-3
        nearby = [float(x) + d for x, d in zip(coefficients, nudge, strict=True)]
        assert np.abs(1 - odd(nearby, s)).max() >= float(distance) * (1 - 1e-9)


@pytest.mark.parametrize(("degree", "worst"), [(3, 0.1612), (5, 1.513e-6)])
def test_worst_case_after_five_steps_at_1e_minus_4(degree, worst):
    """Without the 1 % of safety it would be 0.1563 and 1.229e-6."""
    s = np.geomspace(1e-2, 1, 10_001)
    for coefficients in islice(minimax_coefficients(1e-4, degree), 5):
        s = odd(coefficients, s)
    assert np.abs(1 - s).max() == pytest.approx(worst, rel=1e-3)


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize("lower", [1.0, 1e-2, 1e-4, 1e-8, 1e-16])
def test_schedule_ends_in_the_limits(degree, lower):
    *early, last = islice(minimax_coefficients(lower, degree), len(schedule(lower, degree)) + 1)
    assert last == LIMITS[degree]
    # first coefficients fall: an early step must lift small eigenvalues, a late one must not overshoot
    assert all(earlier[0] >= later[0] for earlier, later in pairwise([*early, last]))


@pytest.mark.parametrize(("lower", "degree"), [(0.0, 5), (-1.0, 3), (1.5, 5), (float("nan"), 3)])
def test_lower_out_of_range(lower, degree):
    with pytest.raises(ValueError, match=r"minimax: lower must lie in \(0, 1\]"):
        next(minimax_coefficients(lower, degree))


def test_unknown_degree():
    with pytest.raises(ValueError, match="minimax: degree must be 3 or 5; got 4"):
        next(minimax_coefficients(0.1, 4))
