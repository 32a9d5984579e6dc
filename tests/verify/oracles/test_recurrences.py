"""The recurrences are stated once for all algebras, so they are compared with matrix iterations written out here."""

import mpmath
import numpy as np
import pytest

from ndbench.targets import ITERATIONS, Exact, Steps
from ndbench.verify.oracles.errors import planted
from ndbench.verify.oracles.recurrences import RECURRENCES, is_polynomial
from ndbench.verify.oracles.spectrum import MULTIPRECISION, floats, of_spectrum, sensitivity

FLOAT64 = floats(np.float64)
A = planted(6, 50.0, seed=3)
EIGENVALUES, V = np.linalg.eigh(A)
EYE = np.eye(6)


def on_matrix(target):
    return (V * of_spectrum(target, EIGENVALUES, FLOAT64)) @ V.T


def coupled(A, polynomials):
    c = np.linalg.norm(A)
    Y, Z = A / c, EYE
    for polynomial in polynomials:
        H = polynomial(Z @ Y)
        Y, Z = Y @ H, H @ Z
    return Z / np.sqrt(c)


def test_every_iteration_has_a_recurrence():
    assert tuple(RECURRENCES) == ITERATIONS


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_newton_schulz(steps):
    want = coupled(A, [lambda P: 1.5 * EYE - 0.5 * P] * steps)
    np.testing.assert_allclose(on_matrix(Steps("newton_schulz", steps)), want, rtol=0, atol=1e-13)


def test_minimax_quintic_of_one_step():
    # coefficients of the first step for lower = 1e-4, from a separate computation
    a, b, c = 8.021063540688834, -22.956016114129095, 16.622998028655257
    want = coupled(A, [lambda P: a * EYE + b * P + c * P @ P])
    np.testing.assert_allclose(on_matrix(Steps("minimax_quintic", 1)), want, rtol=0, atol=1e-11)


def test_minimax_cubic_of_two_steps():
    first, second = (4.9929023854354115, -4.846546238639269), (2.4695470672485325, -0.6326359217467163)
    want = coupled(A, [lambda P, ab=ab: ab[0] * EYE + ab[1] * P for ab in (first, second)])
    np.testing.assert_allclose(on_matrix(Steps("minimax_cubic", 2)), want, rtol=0, atol=1e-12)


@pytest.mark.parametrize("steps", [1, 3, 6])
def test_denman_beavers_plain(steps):
    Y, Z = A, EYE
    for _ in range(steps):
        Y, Z = (Y + np.linalg.inv(Z)) / 2, (Z + np.linalg.inv(Y)) / 2
    np.testing.assert_allclose(on_matrix(Steps("denman_beavers_plain", steps)), Z, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("steps", "scaled_steps"), [(1, 1), (4, 0), (4, 2), (5, 5)])
def test_denman_beavers(steps, scaled_steps):
    M, Z = A, EYE
    for k in range(steps):
        mu = abs(np.linalg.det(M)) ** (-1 / 12) if k < scaled_steps else 1.0
        inverse = np.linalg.inv(M)
        Z = mu * Z @ (EYE + inverse / mu**2) / 2
        M = (EYE + (mu**2 * M + inverse / mu**2) / 2) / 2
    target = Steps("denman_beavers", steps, scaled_steps=scaled_steps)
    np.testing.assert_allclose(on_matrix(target), Z, rtol=0, atol=1e-12)


def test_product_form_is_the_plain_iteration():
    plain, product = (of_spectrum(Steps(name, 7), EIGENVALUES, FLOAT64) for name in ITERATIONS[2:0:-1])
    np.testing.assert_allclose(plain, product, rtol=1e-13)


@pytest.mark.parametrize("iteration", ITERATIONS)
def test_converges_to_the_inverse_square_root(iteration):
    got = of_spectrum(Steps(iteration, 20), EIGENVALUES, FLOAT64)
    np.testing.assert_allclose(got, EIGENVALUES**-0.5, rtol=1e-13)


@pytest.mark.parametrize("iteration", ITERATIONS)
def test_number_types_agree(iteration):
    target = Steps(iteration, 5, scaled_steps=3 if iteration == "denman_beavers" else 0)
    double = of_spectrum(target, EIGENVALUES, FLOAT64)
    extended = of_spectrum(target, EIGENVALUES.astype(np.longdouble), floats(np.longdouble))
    with mpmath.workdps(40):
        exact = of_spectrum(target, np.array([mpmath.mpf(x) for x in EIGENVALUES], dtype=object), MULTIPRECISION)
        off = [
            float(max(abs(got - want) / want for got, want in zip(map(exactly, v), exact, strict=True)))
            for v in (double, extended)
        ]
    assert extended.dtype == np.longdouble
    assert off[0] < 2e-14
    assert off[1] < 2e-14 * np.finfo(np.longdouble).eps / np.finfo(np.float64).eps


def exactly(x):
    head = float(x)
    return mpmath.mpf(head) + mpmath.mpf(float(x - type(x)(head)))


def test_five_steps_are_not_the_inverse_square_root():
    five, exact = on_matrix(Steps("newton_schulz", 5)), on_matrix(Exact())
    assert np.linalg.norm(five - exact) > 0.1 * np.linalg.norm(exact)


def test_sensitivity_of_the_inverse_square_root():
    # the smallest eigenvalue h decides: d h^(-1/2) = -h^(-3/2) dh / 2
    eigenvalues, shift = np.array([1e-4, 1.0]), 1e-10
    want = shift * 1e-4**-1.5 / 2 / np.hypot(1e2, 1)
    assert sensitivity(Exact(), eigenvalues, shift, FLOAT64) == pytest.approx(want, rel=1e-5)


def test_sensitivity_at_the_edge_of_the_domain():
    singular = np.array([1e-17, 1.0])
    assert sensitivity(Exact(), singular, 1e-16, FLOAT64) == float("inf")
    assert sensitivity(Steps("newton_schulz", 5), singular, 1e-16, FLOAT64) < 1e-14


def test_polynomial_maps():
    assert [is_polynomial(Steps(name, 1)) for name in ITERATIONS] == [True, False, False, True, True]
    assert not is_polynomial(Exact())
