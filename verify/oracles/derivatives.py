r"""Derivatives of the targets in closed form, in the eigenbasis, for every kind of number.

f(A) = V diag(z(lambda)) V^T, where z may depend on the whole spectrum: iterations divide by ||A||_F or scale by det M.
With H = V^T G V the gradient of <G, f(A)> is

    V P V^T,    P_ij = z[lambda_i, lambda_j] H_ij for i != j,    P_jj = sum_i H_ii dz_i / dlambda_j,

where z[x, y] = (z(x) - z(y)) / (x - y) is the divided difference with norm and determinant held constant: turning the
eigenvectors moves neither. For the exact root z[x, y] = -(d_x d_y)^2 / (d_x + d_y), d = lambda^(-1/2), and dz/dlambda
is diagonal; for T steps dz/dlambda holds what the norm contributes.

No difference of eigenvalues is ever divided by: z[x, y] and dz/dlambda are carried through the recurrence itself,

    (f g)[x, y] = f(x) g[x, y] + f[x, y] g(y),    (1 / f)[x, y] = -f[x, y] / (f(x) f(y)),
    sqrt(f)[x, y] = f[x, y] / (sqrt(f(x)) + sqrt(f(y))),

so equal and nearly equal eigenvalues need no case of their own.

References:
    Daleckii and Krein, Integration and differentiation of functions of Hermitian operators, 1965.
    Higham, Functions of Matrices, SIAM 2008, theorem 3.11 and section 3.2.
"""

from dataclasses import dataclass, replace
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray

from ndbench.targets import Steps, Target
from ndbench.verify.oracles.recurrences import t_steps
from ndbench.verify.oracles.spectrum import MULTIPRECISION, Spectrum, floats

Array = NDArray[Any]

DIGITS = 40
"""Of mpmath: 24 digits are left at condition 1e12 after the eigenvalues were found."""

UNIT = 2.0**-30
"""Of `Disturbed`: far above the roundings of float64, and small enough for errors to grow in proportion to it."""


@dataclass(frozen=True, eq=False)
class Differentiated:
    """A function of the eigenvalues with its derivatives; numbers on either side of an operation are constants.

    Attributes:
        value: f(lambda_i), (n,).
        differences: f[lambda_i, lambda_j] with norms and determinants held constant, (n, n).
        jacobian: df(lambda_i) / dlambda_j in full, (n, n).
    """

    value: Array
    differences: Array
    jacobian: Array

    # numpy's numbers leave the operation to this class
    __array_ufunc__ = None

    def rounded(self) -> "Differentiated":
        """What an operation takes: itself, see `Disturbed`."""
        return self

    def of(self, value: Array, differences: Array, jacobian: Array) -> "Differentiated":
        """Another function in the same arithmetic."""
        return replace(self, value=value, differences=differences, jacobian=jacobian)

    def __add__(self, other: Any) -> "Differentiated":
        f = self.rounded()
        if not isinstance(other, Differentiated):
            return self.of(f.value + other, f.differences, f.jacobian)
        g = other.rounded()
        return self.of(f.value + g.value, f.differences + g.differences, f.jacobian + g.jacobian)

    def __mul__(self, other: Any) -> "Differentiated":
        f = self.rounded()
        if not isinstance(other, Differentiated):
            return self.of(f.value * other, f.differences * other, f.jacobian * other)
        g = other.rounded()
        return self.of(
            f.value * g.value,
            f.value[:, None] * g.differences + f.differences * g.value,
            f.value[:, None] * g.jacobian + f.jacobian * g.value[:, None],
        )

    def __truediv__(self, other: Any) -> "Differentiated":
        return self * (other.inverse() if isinstance(other, Differentiated) else 1 / _like(self.value, other))

    def __sub__(self, other: Any) -> "Differentiated":
        difference: Differentiated = self + other * -1
        return difference

    def __rsub__(self, other: Any) -> "Differentiated":
        difference: Differentiated = (self * -1) + other
        return difference

    __radd__ = __add__
    __rmul__ = __mul__

    def inverse(self) -> "Differentiated":
        """1 / f."""
        f = self.rounded()
        d = 1 / f.value
        return self.of(d, -d[:, None] * f.differences * d, -(d * d)[:, None] * f.jacobian)

    def sqrt(self, root: Any) -> "Differentiated":
        """The square root, `root` being that of a vector."""
        f = self.rounded()
        r = root(f.value)
        return self.of(r, f.differences / (r[:, None] + r), f.jacobian / (2 * r)[:, None])


@dataclass(frozen=True, eq=False)
class Disturbed(Differentiated):
    """The same in float64 with operands that are off by up to one unit `UNIT` whenever they are used.

    Errors are independent and uniform: Monte Carlo arithmetic, which shows how far rounding moves a result, sum of
    signed errors and cancellation included, where a bound on each operation would add up what cancels.

    References:
        Parker, Monte Carlo arithmetic: exploiting randomness in floating-point arithmetic, UCLA 1997.
        Vignes, A stochastic arithmetic for reliable scientific computation, Math. Comput. Simul. 35, 1993.
    """

    random: np.random.Generator

    def rounded(self) -> Differentiated:
        """Every number off by its own relative error; divided differences stay symmetric."""
        E = self._errors(self.differences.shape)
        return Differentiated(
            self.value * (1 + self._errors(self.value.shape)),
            self.differences * (1 + np.triu(E) + np.triu(E, 1).T),
            self.jacobian * (1 + self._errors(self.jacobian.shape)),
        )

    def _errors(self, shape: tuple[int, ...]) -> Array:
        return UNIT * self.random.uniform(-1, 1, shape)


@dataclass(frozen=True)
class DifferentiatedSpectrum:
    """The algebra of `Differentiated`, see `recurrences.Algebra`; norm and scale are the same for all eigenvalues."""

    base: Spectrum

    def norm(self, A: Differentiated) -> Differentiated:
        """||A||_F = sqrt(sum f_i^2), with dnorm = sum f_i df_i / norm."""
        f = A.rounded()
        c = self.base.norm(f.value)
        return _constant(A, c, (f.value / c) @ f.jacobian)

    def inverse(self, X: Differentiated) -> Differentiated:
        """1 / f."""
        return X.inverse()

    def determinantal_scale(self, M: Differentiated) -> Differentiated:
        """Mu = |det M|^(-1/(2 n)), with dmu = -mu tr(M^-1 dM) / (2 n)."""
        f = M.rounded()
        mu = self.base.determinantal_scale(f.value)
        return _constant(M, mu, -mu * ((1 / f.value) @ f.jacobian) / (2 * len(f.value)))

    def sqrt(self, x: Differentiated) -> Differentiated:
        """The square root."""
        return x.sqrt(self.base.sqrt)

    def number(self, value: Any) -> Any:
        """An mpmath number as one of the underlying algebra."""
        return self.base.number(value)


def differentiate(
    target: Target, eigenvalues: Array, algebra: Spectrum, disturbance: np.random.Generator | None = None
) -> Differentiated:
    """Return f with its divided differences and Jacobian at a spectrum, in the type of the eigenvalues.

    With a disturbance every operation in between rounds to `UNIT`.

    Example:
        >>> from ndbench.targets import Exact
        >>> found = differentiate(Exact(), np.array([1.0, 4.0]), floats(np.float64))
        >>> found.value.tolist(), found.differences[0, 1].item()
        ([1.0, 0.5], -0.16666666666666666)
    """
    n, one = len(eigenvalues), eigenvalues[0] * 0 + 1
    identity = np.eye(n, dtype=eigenvalues.dtype) * one
    start = (eigenvalues, np.full((n, n), one), identity)
    spectrum = Differentiated(*start) if disturbance is None else Disturbed(*start, disturbance)
    derived = DifferentiatedSpectrum(algebra)
    if isinstance(target, Steps):
        found: Differentiated = t_steps(spectrum, target, derived)
        return found.rounded()
    return derived.inverse(derived.sqrt(spectrum)).rounded()


def exact_differences(eigenvalues: Array) -> Array:
    """Phi_ij = -(d_i d_j)^2 / (d_i + d_j), d = lambda^(-1/2): the closed form for the exact root, as printed."""
    d = 1 / np.sqrt(eigenvalues)
    product: Array = d[:, None] * d
    return -(product * product) / (d[:, None] + d)


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """A = V diag(eigenvalues) V^T, and the algebra of the numbers that they are made of."""

    eigenvalues: Array
    V: Array
    algebra: Spectrum

    @classmethod
    def in_float64(cls, A: NDArray[np.float64]) -> "Eigenpairs":
        """LAPACK: the gradient is off by about u times its own condition."""
        return cls(*np.linalg.eigh(A), floats(np.float64))

    @classmethod
    def in_multiprecision(cls, A: Any, digits: int = DIGITS) -> "Eigenpairs":
        """mpmath: 0.02 s at n = 8, 0.05 s at 12. Use it, and what it gives, within `mpmath.workdps(digits)`."""
        with mpmath.workdps(digits):
            values, vectors = mpmath.eigsy(mpmath.matrix(A.tolist()))
            return cls(np.array(list(values), dtype=object), np.array(vectors.tolist(), dtype=object), MULTIPRECISION)

    def gradient(self, target: Target, G: Any, disturbance: np.random.Generator | None = None) -> Array:
        """The gradient of <G, f(A)>, of shape (n, n); as symmetric as G is.

        A G that is not symmetric gives the gradient of f extended to non-symmetric matrices by the same formula; its
        symmetric part belongs to f on symmetric matrices, and is the gradient for (G + G^T) / 2. A disturbance is that
        of `differentiate`.
        """
        found = differentiate(target, self.eigenvalues, self.algebra, disturbance)
        H = self.V.T @ G @ self.V
        P = found.differences * H
        np.fill_diagonal(P, found.jacobian.T @ np.diagonal(H))
        X: Array = self.V @ P @ self.V.T
        return X

    def derivative(self, target: Target, E: Any) -> Array:
        """The derivative of f at A in the symmetric direction E, (n, n): the adjoint of `gradient`."""
        found = differentiate(target, self.eigenvalues, self.algebra)
        H = self.V.T @ E @ self.V
        P = found.differences * H
        np.fill_diagonal(P, found.jacobian @ np.diagonal(H))
        X: Array = self.V @ P @ self.V.T
        return X


def multiprecision_gradient(
    A: NDArray[np.float64], target: Target, G: NDArray[np.float64], digits: int = DIGITS
) -> Array:
    """The gradient of <G, f(A)> in mpmath numbers."""
    with mpmath.workdps(digits):
        return Eigenpairs.in_multiprecision(A, digits).gradient(target, G)


def _constant(like: Differentiated, value: Any, derivative: Array) -> Differentiated:
    """A number that is the same for every eigenvalue."""
    n, zero = len(derivative), value * 0
    return like.of(
        np.full(n, value, dtype=like.value.dtype),
        np.full((n, n), zero, dtype=like.value.dtype),
        np.tile(derivative, (n, 1)),
    )


def _like(value: Array, number: Any) -> Any:
    """A number in the type of an array, so that 1 / 2 is a quotient of mpmath numbers where those are used."""
    return value[0] * 0 + number
