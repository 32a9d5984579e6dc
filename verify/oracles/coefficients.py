"""Coefficients of the minimax iterations, from the equations of equioscillation in multiprecision arithmetic.

Step i knows sigma = sqrt(lambda) in [lo, hi] and uses the odd polynomial q(sigma) = sigma h(sigma^2) of degree
3 or 5 that minimises max |1 - q(sigma)| there. The odd powers are a Haar space on an interval to the right of
zero, so q is the minimiser exactly when 1 - q takes its largest modulus delta at one point more than it has
coefficients, with alternating signs: at lo, at the one or two zeros of q', and at hi. These equations are
solved by Newton's method for coefficients, delta and extreme points together, continued in lo / hi from a
short interval to the wanted one. No exchange of points, and no closed form, is involved.

References:
    Cheney, Introduction to Approximation Theory, 1966, chapter 3 (characterisation by alternation).
    Chen and Chow, A stable scaling of Newton-Schulz for improving the sign function computation of a Hermitian
    matrix, 2014 (the optimal cubic); Amsel et al., The Polar Express, 2025 (the composition is optimal).
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Any

import mpmath

DIGITS = 120
ALTERNATION = 1e-100
# an interval of half width h multiplies errors of alternation by at most about h^-2 in the coefficients, and
# `LIMIT_BELOW` keeps h above 1e-12: 76 digits, of which 60 are relied upon
TRUSTED_DIGITS = 60
SAFETY_PERCENT = 1
LIMIT_BELOW = 1e-12
CONTINUATION = 0.7


@dataclass(frozen=True)
class Equioscillation:
    """The minimax polynomial on [lo, hi].

    Attributes:
        coefficients: (a, b) or (a, b, c) of q(sigma) = a sigma + b sigma^3 + c sigma^5.
        delta: max |1 - q| on [lo, hi].
        points: where it is attained, ascending, from lo to hi; 1 - q is +delta at the first.
    """

    coefficients: tuple[Any, ...]
    delta: Any
    points: tuple[Any, ...]

    def error(self, sigma: Any) -> Any:
        """Return 1 - q(sigma)."""
        return 1 - sum(a * sigma ** (2 * k + 1) for k, a in enumerate(self.coefficients))

    def slope(self, sigma: Any) -> Any:
        """Return q'(sigma)."""
        return sum((2 * k + 1) * a * sigma ** (2 * k) for k, a in enumerate(self.coefficients))


@lru_cache(maxsize=256)
def minimax_coefficients(degree: int, lower: float, steps: int) -> tuple[tuple[Any, ...], ...]:
    """Return (a, b) or (a, b, c) of every step, as mpmath numbers of `DIGITS` digits.

    [lo_0, hi_0] = [sqrt(lower) / 1.01, 1.01] and [lo_{i+1}, hi_{i+1}] = [1 - delta_i, 1 + delta_i]; the steps
    after the first delta_i < 1e-12 use the Newton-Schulz limits (3/2, -1/2) and (15/8, -10/8, 3/8).

    Args:
        degree: 3 or 5.
        lower: lower end of the spectrum of A / ||A||_F, in (0, 1].
        steps: the number of steps.

    Raises:
        ValueError: if `degree` or `lower` is not one of these.

    Example:
        >>> a, b = minimax_coefficients(3, 1e-4, 1)[0]
        >>> print(f"{float(a):.4f} {float(b):.4f}")
        4.9929 -4.8465
    """
    if degree not in (3, 5) or not 0 < lower <= 1:
        raise ValueError(
            f"minimax_coefficients: degree must be 3 or 5 and lower, relative to ||A||_F, in (0, 1]; "
            f"got degree {degree}, lower {lower}"
        )
    with mpmath.workdps(DIGITS):
        hi = 1 + mpmath.mpf(SAFETY_PERCENT) / 100
        lo = mpmath.sqrt(mpmath.mpf(lower)) / hi
        sequence: list[tuple[Any, ...]] = []
        for _ in range(steps):
            best = equioscillation(degree, lo, hi)
            sequence.append(best.coefficients)
            lo, hi = 1 - best.delta, 1 + best.delta
            if best.delta < LIMIT_BELOW:
                break
        return (*sequence, *[limit(degree)] * (steps - len(sequence)))


def limit(degree: int) -> tuple[Any, ...]:
    """Return the coefficients for an interval shrinking to 1: as many derivatives of q as possible vanish."""
    eighths = {3: (12, -4), 5: (15, -10, 3)}[degree]
    return tuple(mpmath.mpf(k) / 8 for k in eighths)


def equioscillation(degree: int, lo: Any, hi: Any) -> Equioscillation:
    """Return the minimax odd polynomial of the degree on [lo, hi], verified by its alternation.

    Raises:
        ArithmeticError: if what was found does not alternate to `ALTERNATION`.
    """
    with mpmath.workdps(DIGITS):
        target = mpmath.mpf(lo) / hi
        found = _newton(_short_interval(degree, max(target, mpmath.mpf(0.5))))
        while found.points[0] > target:
            found = _newton(_shorten(found, max(target, found.points[0] * CONTINUATION)))
        _verify(found)
        return _stretch(found, hi)


def _short_interval(degree: int, lo: Any) -> Equioscillation:
    """Interpolate +-delta at the Chebyshev extreme points of [lo, 1]."""
    m = (degree + 1) // 2
    points = tuple((1 + lo) / 2 - (1 - lo) / 2 * mpmath.cospi(mpmath.mpf(j) / m) for j in range(m + 1))
    rows = [[sigma ** (2 * k + 1) for k in range(m)] + [(-1) ** j] for j, sigma in enumerate(points)]
    solution = mpmath.lu_solve(mpmath.matrix(rows), mpmath.ones(m + 1, 1))
    return Equioscillation(tuple(solution[:m]), solution[m], points)


def _shorten(found: Equioscillation, lo: Any) -> Equioscillation:
    """Start for [lo, 1] from the solution on a shorter interval; interior points keep their place on a log scale."""
    stretch = mpmath.log(lo) / mpmath.log(found.points[0])
    return Equioscillation(
        found.coefficients, found.delta, (lo, *(x**stretch for x in found.points[1:-1]), mpmath.mpf(1))
    )


def _newton(start: Equioscillation) -> Equioscillation:
    """Solve the equations of equioscillation on [lo, 1] for coefficients, delta and interior points."""
    m, lo = len(start.coefficients), start.points[0]

    def unpack(*u: Any) -> Equioscillation:
        return Equioscillation(u[:m], u[m], (lo, *u[m + 1 :], mpmath.mpf(1)))

    def equations(*u: Any) -> list[Any]:
        q = unpack(*u)
        levels = [q.error(sigma) - (-1) ** j * q.delta for j, sigma in enumerate(q.points)]
        return levels + [q.slope(sigma) for sigma in q.points[1:-1]]

    unknowns = (*start.coefficients, start.delta, *start.points[1:-1])
    return unpack(*mpmath.findroot(equations, unknowns, tol=ALTERNATION * 1e-10))


def _verify(found: Equioscillation) -> None:
    """Check the alternation; q' has no other positive zeros, so |1 - q| is nowhere larger."""
    level = max(abs(found.error(x) - (-1) ** j * found.delta) for j, x in enumerate(found.points))
    flat = max(abs(found.slope(x)) for x in found.points[1:-1])
    ordered = all(x < y for x, y in pairwise(found.points))
    if not (ordered and found.delta > 0 and level < ALTERNATION and flat < ALTERNATION):
        raise ArithmeticError(
            f"equioscillation: no alternation on [{mpmath.nstr(found.points[0])}, 1]: levels differ by "
            f"{mpmath.nstr(level, 3)}, slopes {mpmath.nstr(flat, 3)}; widen `lower` or refine CONTINUATION"
        )


def _stretch(found: Equioscillation, hi: Any) -> Equioscillation:
    """Carry the solution from [lo, 1] to [lo hi, hi]."""
    coefficients = tuple(a / hi ** (2 * k + 1) for k, a in enumerate(found.coefficients))
    return Equioscillation(coefficients, found.delta, tuple(hi * x for x in found.points))
