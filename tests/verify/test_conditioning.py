"""How far rounding can move a T-step map: closed values, and a bound that a run in float32 obeys."""

import math

import numpy as np
import pytest

from ndbench.roots.coefficients import LIMITS
from ndbench.targets import ITERATIONS, Exact, Steps
from ndbench.verify.conditioning import amplification, polynomials, running_error

IDENTITY = np.ones(12)
GEOMETRIC = np.geomspace(1e-4, 1, 12)


def test_newton_schulz_repeats_one_polynomial():
    assert polynomials(Steps("newton_schulz", 3)) == ((1.5, -0.5, 0.0),) * 3


@pytest.mark.parametrize(("iteration", "degree"), [("minimax_cubic", 3), ("minimax_quintic", 5)])
def test_minimax_ends_in_the_limits(iteration, degree):
    found = polynomials(Steps(iteration, 30))
    assert len(found) == 30
    assert found[-1] == LIMITS[degree]
    assert found[0] != polynomials(Steps(iteration, 1, lower=0.1))[0]


@pytest.mark.parametrize("target", [Exact(), Steps("denman_beavers", 5), Steps("denman_beavers_plain", 5)], ids=str)
def test_methods_that_invert_have_no_polynomials(target):
    assert polynomials(target) == ()
    assert amplification(target) == math.inf
    assert running_error(target, GEOMETRIC) == 0


@pytest.mark.parametrize("steps", [1, 5, 15])
def test_newton_schulz_amplifies_by_nine_quarters_a_step(steps):
    assert amplification(Steps("newton_schulz", steps)) == pytest.approx(2.25**steps, rel=1e-14)


def test_minimax_amplifies_by_the_squares_of_its_first_coefficients():
    target = Steps("minimax_quintic", 3)
    a, b, c = (first for first, _, _ in polynomials(target))
    assert amplification(target) == pytest.approx((a * b * c) ** 2, rel=1e-14)
    assert amplification(target) > 2.25**3


def test_one_step_by_hand():
    # s = 1: terms 1.5 and -0.5, q = 1, so nothing is passed on and 2 units are added
    assert running_error(Steps("newton_schulz", 1), np.ones(1)) == 2


@pytest.mark.parametrize("steps", [1, 5, 15])
@pytest.mark.parametrize("eigenvalues", [IDENTITY, GEOMETRIC], ids=["identity", "geometric"])
def test_running_error_of_newton_schulz_is_small(steps, eigenvalues):
    assert 1 <= running_error(Steps("newton_schulz", steps), eigenvalues) <= 2 * steps + 1


def test_running_error_of_the_minimax_cubic_at_the_identity_is_large():
    assert running_error(Steps("minimax_cubic", 5), np.ones(1)) > 30


def test_running_error_does_not_depend_on_the_size():
    target = Steps("minimax_quintic", 4)
    assert running_error(target, GEOMETRIC * 4.0**9) == pytest.approx(running_error(target, GEOMETRIC), rel=1e-12)


@pytest.mark.parametrize("iteration", [i for i in ITERATIONS if not i.startswith("denman")])
@pytest.mark.parametrize("eigenvalues", [IDENTITY, GEOMETRIC], ids=["identity", "geometric"])
def test_running_error_bounds_what_float32_collects(iteration, eigenvalues):
    target = Steps(iteration, 5)
    s = np.sqrt(eigenvalues / np.linalg.norm(eigenvalues)).astype(np.float32)
    found, true = s, s.astype(np.float64)
    for coefficients in polynomials(target):
        a, b, c = map(np.float32, coefficients)
        found = a * found + b * found**3 + c * found**5
        a, b, c = map(np.float64, (a, b, c))
        true = a * true + b * true**3 + c * true**5
    # each term takes a few roundings, not one
    allowed = 4 * running_error(target, eigenvalues) * 2.0**-24
    assert (abs(found - true) / abs(true)).max() <= allowed
