import mpmath
import pytest

from ndbench.verify.oracles import coefficients
from ndbench.verify.oracles.coefficients import Equioscillation, equioscillation, minimax_coefficients

GRID = 2001


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize(("lo", "hi"), [("1e-4", "1.01"), ("0.1", "1.01"), ("0.9", "1.1"), ("0.999999", "1.000001")])
def test_error_is_nowhere_larger_than_delta(degree, lo, hi):
    with mpmath.workdps(coefficients.DIGITS):
        best = equioscillation(degree, mpmath.mpf(lo), mpmath.mpf(hi))
        grid = [mpmath.mpf(lo) + (mpmath.mpf(hi) - mpmath.mpf(lo)) * k / (GRID - 1) for k in range(GRID)]
        assert max(abs(best.error(sigma)) for sigma in grid) <= best.delta * (1 + mpmath.mpf(10) ** -50)
        signs = [mpmath.sign(best.error(sigma)) for sigma in best.points]
        assert signs == [(-1) ** j for j in range((degree + 3) // 2)]


@pytest.mark.parametrize("lo", ["1e-3", "0.2", "0.95"])
def test_cubic_has_the_closed_form(lo):
    # rho (3 alpha sigma - (alpha sigma)^3) / 2 is equal at lo and 1 for alpha^2 = 3 / (1 + lo + lo^2) (Chen and Chow)
    with mpmath.workdps(coefficients.DIGITS):
        x = mpmath.mpf(lo)
        alpha = mpmath.sqrt(3 / (1 + x + x * x))
        ends = (3 * alpha - alpha**3) / 2
        rho = 2 / (1 + ends)
        a, b = equioscillation(3, x, mpmath.mpf(1)).coefficients
        assert abs(a - rho * 3 * alpha / 2) < mpmath.mpf(10) ** -60
        assert abs(b + rho * alpha**3 / 2) < mpmath.mpf(10) ** -60


@pytest.mark.parametrize(("degree", "want"), [(3, 0.16117), (5, 1.5132e-6)])
def test_worst_case_after_five_steps(degree, want):
    # Newton-Schulz leaves 0.92
    with mpmath.workdps(coefficients.DIGITS):
        sigma = mpmath.sqrt(mpmath.mpf(1e-4)) * 100 / 101
        for step in minimax_coefficients(degree, 1e-4, 5):
            sigma = sum(a * sigma ** (2 * k + 1) for k, a in enumerate(step))
        assert float(abs(1 - sigma)) == pytest.approx(want, rel=1e-4)


def test_coefficients_end_at_the_limits():
    assert minimax_coefficients(3, 1e-2, 12)[-1] == (1.5, -0.5)
    assert minimax_coefficients(5, 1e-2, 12)[-1] == (1.875, -1.25, 0.375)


def test_shorter_sequence_is_a_prefix_of_a_longer_one():
    assert minimax_coefficients(5, 1e-3, 9)[:4] == minimax_coefficients(5, 1e-3, 4)


def test_wrong_alternation_is_noticed():
    with mpmath.workdps(coefficients.DIGITS):
        right = equioscillation(5, mpmath.mpf("0.3"), mpmath.mpf(1))
        a, b, c = right.coefficients
        wrong = Equioscillation((a + mpmath.mpf(10) ** -50, b, c), right.delta, right.points)
        coefficients._verify(right)
        with pytest.raises(ArithmeticError, match="no alternation"):
            coefficients._verify(wrong)


@pytest.mark.parametrize(("degree", "lower"), [(4, 1e-4), (3, 0.0), (5, 1.5), (5, float("nan"))])
def test_unknown_parameters_are_refused(degree, lower):
    with pytest.raises(ValueError, match="degree must be 3 or 5"):
        minimax_coefficients(degree, lower, 3)
