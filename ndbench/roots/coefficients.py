"""Coefficients of the minimax steps: the odd polynomials nearest to 1 on an interval, composed greedily.

With s = sqrt(eigenvalue of Z Y), one step maps s to q(s) = a s + b s^3 + c s^5. The best q on [lo, hi] equioscillates:
its distance to 1 attains the maximum d with alternating signs at 3 points (cubic) or 4 (quintic), and the
next interval is [1 - d, 1 + d].
"""

from collections.abc import Iterator
from functools import lru_cache

import mpmath
from mpmath import mpf

Coefficients = tuple[float, float, float]

SAFETY = mpf(101) / 100
"""The first interval is [sqrt(lower) / 1.01, 1.01]: rounding may push an eigenvalue out of its bounds."""

LIMITS: dict[int, Coefficients] = {3: (1.5, -0.5, 0.0), 5: (1.875, -1.25, 0.375)}
"""What the coefficients tend to as the interval shrinks to 1: Newton-Schulz, and its third-order relative."""

CONVERGED = mpf("1e-12")
"""Below this distance the minimax coefficients are the limits to more than double precision."""

DIGITS = 50


def minimax_coefficients(lower: float, degree: int) -> Iterator[Coefficients]:
    """Yield (a, b, c) of step 0, 1, ... without end, for a spectrum in [lower, 1].

    Raises:
        ValueError: if `lower` is not in (0, 1] or `degree` is neither 3 nor 5.
    """
    if degree not in LIMITS:
        raise ValueError(f"minimax: degree must be 3 or 5; got {degree}")
    if not 0 < lower <= 1:
        raise ValueError(f"minimax: lower must lie in (0, 1], relative to ||A||_F; got {lower}")
    yield from schedule(float(lower), degree)
    while True:
        yield LIMITS[degree]


@lru_cache(maxsize=256)
def schedule(lower: float, degree: int) -> tuple[Coefficients, ...]:
    """The steps before the interval has shrunk to 1; after them the coefficients are `LIMITS`."""
    steps: list[Coefficients] = []
    with mpmath.workdps(DIGITS):
        lo, hi = mpmath.sqrt(lower) / SAFETY, SAFETY
        while hi - lo > 2 * CONVERGED:
            a, b, c, distance = best_odd(degree, lo, hi)
            steps.append((float(a), float(b), float(c)))
            lo, hi = 1 - distance, 1 + distance
    return tuple(steps)


def best_odd(degree: int, lo: mpf, hi: mpf) -> tuple[mpf, mpf, mpf, mpf]:
    """(a, b, c) and the distance d of the odd polynomial of degree 3 or 5 nearest to 1 on [lo, hi]."""
    with mpmath.workdps(DIGITS):
        return _best_cubic(lo, hi) if degree == 3 else _best_quintic(lo, hi)


def _best_cubic(lo: mpf, hi: mpf) -> tuple[mpf, mpf, mpf, mpf]:
    """(a, b, 0) and the distance d of the cubic nearest to 1 on [lo, hi], in closed form.

    q(lo) = q(hi) = 1 - d gives a = -b (lo^2 + lo hi + hi^2); the inner maximum 1 + d, at s^2 = -a / (3 b), gives b.
    """
    third = (lo * lo + lo * hi + hi * hi) / 3
    peak = 2 * third * mpmath.sqrt(third)
    b = -2 / (lo * hi * (lo + hi) + peak)
    return -3 * b * third, b, mpf(0), -b * peak - 1


def _best_quintic(lo: mpf, hi: mpf) -> tuple[mpf, mpf, mpf, mpf]:
    """(a, b, c) and the distance d of the quintic nearest to 1 on [lo, hi], by a Remez exchange.

    Each round solves q(x_i) = 1 -+ d at lo, x_1, x_2, hi, then moves x_1 and x_2 to the extrema of q, the roots of a
    quadratic in s^2. It converges quadratically from evenly spaced points.
    """
    x1, x2 = (3 * lo + hi) / 4, (lo + 3 * hi) / 4
    while True:
        a, b, c, d = _levelled(lo, x1, x2, hi)
        root = mpmath.sqrt(9 * b * b - 20 * a * c)
        y1, y2 = mpmath.sqrt((-3 * b - root) / (10 * c)), mpmath.sqrt((-3 * b + root) / (10 * c))
        if abs(y1 - x1) + abs(y2 - x2) <= (hi - lo) * mpf("1e-15"):
            return a, b, c, d
        x1, x2 = y1, y2


def _levelled(*points: mpf) -> tuple[mpf, mpf, mpf, mpf]:
    """(a, b, c, d) with q = 1 - d, 1 + d, 1 - d, 1 + d at four points."""
    rows = [[x, x**3, x**5, (-1) ** i] for i, x in enumerate(points)]
    return tuple(mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([1, 1, 1, 1])))
