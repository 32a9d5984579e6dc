"""Ball arithmetic: the border to python-flint, and the enclosures that the certified oracles return.

A ball [m +- r] holds every real number within r of m, and an operation on balls holds the results of all numbers
in them; so whatever was computed with a matrix of balls is a theorem about the true result.

References:
    Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, IEEE Transactions on
    Computers, 2017.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from ndbench.environment import optional
from ndbench.verify.oracles.coefficients import TRUSTED_DIGITS
from ndbench.verify.oracles.spectrum import Spectrum
from ndbench.verify.oracles.unavailable import OracleUnavailable

# a center this near to the truth rounds to float64 like the truth, but for ties
NARROW = 2.0**-64
flint: Any = optional("flint")
AVAILABLE = flint is not None


def precision(bits: int) -> AbstractContextManager[Any]:
    """Return a context in which balls have midpoints of so many bits."""
    context: AbstractContextManager[Any] = flint.ctx.workprec(bits)
    return context


def ball_matrix(A: NDArray[Any]) -> Any:
    """Return the arb_mat whose entries are the balls, or exactly the float64 or mpmath numbers, of A."""
    return flint.arb_mat(*A.shape, [flint.arb(x) for x in A.ravel().tolist()])


def midpoints(M: Any) -> NDArray[np.float64]:
    """Return the midpoints of an arb_mat, each rounded to the nearest float64."""
    return np.array([float(x) for x in M.entries()]).reshape(M.nrows(), M.ncols())


def frobenius(M: Any) -> Any:
    """Return a ball that holds ||M||_F."""
    return sum((x * x for x in M.entries()), flint.arb(0)).sqrt()


def norm_bound(M: Any) -> Any:
    """Return an exact ball not below ||M||_F, also where entries are balls around zero."""
    return sum((x.abs_upper() ** 2 for x in M.entries()), flint.arb(0)).sqrt().upper()


def _number(value: Any) -> Any:
    """Return a ball around a computed coefficient that holds the exact one."""
    return flint.arb(value, abs(value) * mpmath.mpf(10) ** -TRUSTED_DIGITS)


def spectrum_of_balls() -> Spectrum:
    """Return the algebra of numpy vectors of balls."""
    arb = flint.arb
    return Spectrum(np.frompyfunc(arb.sqrt, 1, 1), np.frompyfunc(arb.log, 1, 1), np.frompyfunc(arb.exp, 1, 1), _number)


class BallMatrices:
    """The algebra of square matrices of balls, see `recurrences.Algebra`."""

    def norm(self, A: Any) -> Any:
        """Return ||A||_F."""
        return frobenius(A)

    def inverse(self, X: Any) -> Any:
        """Return X^(-1).

        Raises:
            ZeroDivisionError: if the balls do not show X to be nonsingular.
        """
        return X.inv()

    def determinantal_scale(self, M: Any) -> Any:
        """Return |det M|^(-1/(2 n))."""
        return (-abs(M.det()).log() / (2 * M.nrows())).exp()

    def sqrt(self, x: Any) -> Any:
        """Return the square root of a ball."""
        return x.sqrt()

    def number(self, value: Any) -> Any:
        """Return a ball that holds the coefficient computed as `value`."""
        return _number(value)


@dataclass(frozen=True, eq=False)
class Enclosure:
    """The set of all matrices within `radius` of `center` in the Frobenius norm; the truth is one of them.

    Attributes:
        center: arb_mat with exact entries.
        radius: exact ball, an upper bound.
        source: how it was computed.
    """

    center: Any
    radius: Any
    source: str

    @classmethod
    def of_balls(cls, M: Any, source: str) -> "Enclosure":
        """Return the smallest such set around the midpoints that holds the matrix of balls M."""
        center = M.mid()
        return cls(center, norm_bound(M - center), source)

    def relative_radius(self) -> float:
        """Return a bound on ||center - truth||_F / ||truth||_F; inf or NaN where nothing is known."""
        return _upper(self.radius / (frobenius(self.center).lower() - self.radius))

    def contains(self, M: Any) -> bool:
        """Return whether every matrix in the arb_mat M certainly lies in the set."""
        return bool(norm_bound(self.center - M) <= self.radius)

    def rounded(self) -> tuple[NDArray[np.float64], float]:
        """Return the center in float64 and a bound on its ||value - truth||_F / ||truth||_F."""
        value = midpoints(self.center)
        distance = norm_bound(self.center - ball_matrix(value)) + self.radius
        return value, _upper(distance / (frobenius(self.center).lower() - self.radius))


def narrow_enclosure(compute: Callable[[], Any], bits: tuple[int, ...], narrow: float, source: str) -> Enclosure:
    """Return the enclosure of the matrix of balls from `compute` at the first precision where it is narrow.

    Args:
        compute: called at each precision; its ValueError or ZeroDivisionError means that this precision is too small.
        bits: precisions, ascending.
        narrow: largest relative radius to accept.
        source: how the matrix is computed.

    Raises:
        OracleUnavailable: if no precision suffices.
    """
    for b in bits:
        with precision(b), suppress(ValueError, ZeroDivisionError):
            found = Enclosure.of_balls(compute(), f"{source}, {b} bits")
            if found.relative_radius() <= narrow:
                return found
    raise OracleUnavailable(
        f"{source}: no enclosure of relative radius {narrow:.1e} with up to {bits[-1]} bits; the spectrum repeats "
        f"where the oracle separates eigenvalues, or the matrix lies at or beyond the edge of the function's domain"
    )


def _upper(x: Any) -> float:
    """Return a float64 not below the nonnegative ball x; NaN and negative denominators come out as inf."""
    bound = float(x.upper())
    return float(np.nextafter(bound, np.inf)) if bound >= 0 else float("inf")
