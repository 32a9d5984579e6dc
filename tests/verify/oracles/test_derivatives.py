"""The closed forms of derivatives against every other way of finding them."""

import sys

import mpmath
import numpy as np
import pytest

from ndbench.targets import Exact, Steps
from ndbench.verify.oracles.closed_forms import hadamard
from ndbench.verify.oracles.derivatives import (
    Eigenpairs,
    differentiate,
    exact_differences,
    multiprecision_gradient,
)
from ndbench.verify.oracles.derivatives_block import (
    block_derivatives,
    complex_step_derivatives,
    gradient_by,
    lyapunov_gradient,
    symmetric_basis,
)
from ndbench.verify.oracles.errors import planted
from ndbench.verify.oracles.multiprecision import multiprecision_truth
from ndbench.verify.oracles.spectrum import MULTIPRECISION, floats
from ndbench.verify.oracles.unavailable import OracleUnavailable

TARGETS = (
    Exact(),
    Steps("newton_schulz", 1),
    Steps("newton_schulz", 5),
    Steps("newton_schulz", 15),
    Steps("denman_beavers", 4),
    Steps("denman_beavers", 3, scaled_steps=2),
    Steps("denman_beavers", 9, scaled_steps=4),
    Steps("denman_beavers_plain", 5),
    Steps("minimax_cubic", 5),
    Steps("minimax_quintic", 5),
    Steps("minimax_quintic", 3, lower=1e-2),
)
U = 2.0**-53
every_target = pytest.mark.parametrize("target", TARGETS, ids=str)


def relative(found, wanted):
    found, wanted = (np.asarray(x, dtype=np.float64) for x in (found, wanted))
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


def upstream(n, seed=0):
    G = np.random.default_rng(seed).standard_normal((n, n))
    return (G + G.T) / 2


@every_target
@pytest.mark.parametrize("condition", [10.0, 1e4, 1e6])
def test_float64_agrees_with_multiprecision(target, condition):
    A, G = planted(6, condition, 0), upstream(6)
    found = Eigenpairs.in_float64(A).gradient(target, G)
    assert relative(found, multiprecision_gradient(A, target, G)) <= 20 * U * condition


@every_target
def test_multiprecision_agrees_with_central_differences_of_many_digits(target):
    """Truncation h^2 and rounding 10^-60 / h are both below 10^-30 at h = 10^-18."""
    A, G, E = planted(4, 1e3, 1), upstream(4, 1), upstream(4, 2)
    with mpmath.workdps(60):
        h = mpmath.mpf(10) ** -18
        up, down = (
            multiprecision_truth(A.astype(object) + s * h * (E * mpmath.mpf(1)), target, 60)[0] for s in (1, -1)
        )
        slope = (G * (up - down)).sum() / (2 * h)
        found = (multiprecision_gradient(A, target, G, 60) * E).sum()
        assert abs(found - slope) <= 1e-26 * abs(slope)


@every_target
@pytest.mark.parametrize("derivatives", [block_derivatives, complex_step_derivatives])
def test_derivatives_without_eigenvalues_agree(target, derivatives):
    A, G = planted(5, 1e3, 2), upstream(5)
    assert relative(gradient_by(derivatives, A, target, G), multiprecision_gradient(A, target, G)) <= 20 * U * 1e3


def test_lyapunov_agrees():
    A, G = planted(7, 1e4, 3), upstream(7)
    assert relative(lyapunov_gradient(A, G), multiprecision_gradient(A, Exact(), G)) <= 20 * U * 1e4


@every_target
def test_derivative_is_the_adjoint_of_the_gradient(target):
    A, G, E = planted(6, 1e2, 4), upstream(6, 5), upstream(6, 6)
    pairs = Eigenpairs.in_float64(A)
    forward, backward = (G * pairs.derivative(target, E)).sum(), (pairs.gradient(target, G) * E).sum()
    assert abs(forward - backward) <= 1e-12 * np.linalg.norm(G) * np.linalg.norm(pairs.derivative(target, E))


@every_target
def test_derivative_agrees_with_block_matrices_in_every_direction(target):
    A, E = planted(4, 1e2, 5), symmetric_basis(4)
    pairs = Eigenpairs.in_float64(A)
    assert relative(np.stack([pairs.derivative(target, e) for e in E]), block_derivatives(A, E, target)) <= 1e-12


def test_the_exact_root_has_the_printed_differences():
    eigenvalues = np.array([1.0, 1.0, 1 + 1e-12, 4.0, 1e6])
    found = differentiate(Exact(), eigenvalues, floats(np.float64)).differences
    np.testing.assert_allclose(found, exact_differences(eigenvalues), rtol=1e-14)


@every_target
@pytest.mark.parametrize("gap", [0.0, 1e-15, 1e-9, 1e-4])
def test_differences_are_stable_where_eigenvalues_nearly_meet(target, gap):
    """Subtraction would lose 16 digits at a gap of 1e-15."""
    near = np.array([0.3, 0.3 + gap, 1.0])
    found = differentiate(target, near, floats(np.float64)).differences
    with mpmath.workdps(50):
        exactly = np.array([mpmath.mpf(x) for x in near.tolist()], dtype=object)
        wanted = differentiate(target, exactly, MULTIPRECISION).differences
        assert relative(found, wanted) <= 1e-12


@every_target
def test_differences_in_many_digits_are_quotients(target):
    """With 80 digits the quotient itself is good, norm and determinant held constant by permuting the spectrum."""
    with mpmath.workdps(80):
        spectrum = np.array([mpmath.mpf(x) for x in (1, 3, 7, 20)], dtype=object)
        found = differentiate(target, spectrum, MULTIPRECISION)
        gaps = spectrum[:, None] - spectrum
        np.fill_diagonal(gaps, mpmath.mpf(1))
        quotients = (found.value[:, None] - found.value) / gaps
        np.fill_diagonal(quotients, np.diagonal(found.differences))
        assert relative(found.differences, quotients) <= 1e-15
        assert abs(found.differences - quotients).max() <= 1e-60 * abs(quotients).max()


@every_target
def test_exactly_repeated_eigenvalues(target):
    A, G = hadamard([0, 0, 0, -2]).A, upstream(4)
    found = Eigenpairs.in_float64(A).gradient(target, G)
    assert relative(found, gradient_by(block_derivatives, A, target, G)) <= 1e-13


def test_the_gradient_of_the_exact_root_at_the_identity_is_minus_half():
    G = upstream(5)
    np.testing.assert_allclose(Eigenpairs.in_float64(np.eye(5)).gradient(Exact(), G), -G / 2, atol=1e-15)


def test_a_gradient_without_symmetry_has_the_symmetric_one_as_its_symmetric_part():
    A, G = planted(5, 1e2, 0), np.random.default_rng(0).standard_normal((5, 5))
    pairs, target = Eigenpairs.in_float64(A), Steps("newton_schulz", 5)
    found = pairs.gradient(target, G)
    np.testing.assert_allclose((found + found.T) / 2, pairs.gradient(target, (G + G.T) / 2), rtol=1e-12)
    assert not np.allclose(found, found.T)


def test_homogeneity_is_kept():
    """f(t A) = f(A) / sqrt(t) for Newton-Schulz, so <A, gradient> = -<G, f(A)> / 2: the term of the norm is needed."""
    A, G, target = planted(6, 1e3, 1), upstream(6), Steps("newton_schulz", 5)
    value, _ = multiprecision_truth(A, target)
    with mpmath.workdps(40):
        inner = (multiprecision_gradient(A, target, G) * A).sum()
        assert abs(inner + (G * value).sum() / 2) <= 1e-30 * abs(inner)


@pytest.mark.parametrize(
    "gradient",
    [lyapunov_gradient, lambda A, G: gradient_by(block_derivatives, A, Exact(), G)],
    ids=["lyapunov", "block"],
)
def test_without_scipy_there_is_no_derivative_by_schur_methods(gradient, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    with pytest.raises(OracleUnavailable, match="Schur's square root and the Lyapunov equation need SciPy"):
        gradient(planted(3, 10.0, 0), upstream(3))


def test_without_scipy_the_maps_of_steps_keep_their_block_matrices(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    A, G, target = planted(3, 10.0, 0), upstream(3), Steps("newton_schulz", 5)
    assert relative(gradient_by(block_derivatives, A, target, G), Eigenpairs.in_float64(A).gradient(target, G)) < 1e-12
