"""The T-step maps as printed recurrences, written once for every kind of number.

A recurrence is a rational expression in A alone. It can therefore be read in any algebra that holds A: as
elementwise arithmetic on the vector of eigenvalues (float64, long double, mpmath numbers, balls), where
f(A) = V diag(f(lambda)) V^T, or as matrix arithmetic on A itself. `Algebra` names the five operations beyond
`+ - * /` that differ; a number added to an element means that multiple of the one (the identity matrix).

References:
    Higham, Functions of Matrices, SIAM 2008, sections 6.3 and 6.4.
    Ye et al., Network Deconvolution, ICLR 2020, section 3.5.
"""

from collections.abc import Callable
from typing import Any, Protocol

from ndbench.targets import Steps, Target
from ndbench.verify.oracles.coefficients import minimax_coefficients


class Algebra(Protocol):
    """What a recurrence needs beyond `+ - * /`; the elements are whatever the algebra computes with."""

    def norm(self, A: Any) -> Any:
        """Return the Frobenius norm, sqrt(sum lambda^2)."""
        ...

    def inverse(self, X: Any) -> Any:
        """Return X^(-1)."""
        ...

    def determinantal_scale(self, M: Any) -> Any:
        """Return mu = |det M|^(-1/(2 n))."""
        ...

    def sqrt(self, x: Any) -> Any:
        """Return the square root of a number (of every number of a vector)."""
        ...

    def number(self, value: Any) -> Any:
        """Return an mpmath number of `coefficients` as a number of this algebra."""
        ...


def newton_schulz(A: Any, target: Steps, algebra: Algebra) -> Any:
    """Coupled Newton-Schulz: c = ||A||_F, Y = A / c, Z = I; S = (3 I - Z Y) / 2, Y <- Y S, Z <- S Z; Z / sqrt(c)."""
    c = algebra.norm(A)
    y, z = A / c, _one(A)
    for _ in range(target.steps):
        s = (3 - z * y) / 2
        y, z = y * s, s * z
    return z / algebra.sqrt(c)


def denman_beavers_plain(A: Any, target: Steps, algebra: Algebra) -> Any:
    """Denman-Beavers: Y = A, Z = I; Y <- (Y + Z^(-1)) / 2 and Z <- (Z + Y^(-1)) / 2 at once; Z."""
    y, z = A, _one(A)
    for _ in range(target.steps):
        y, z = (y + algebra.inverse(z)) / 2, (z + algebra.inverse(y)) / 2
    return z


def denman_beavers(A: Any, target: Steps, algebra: Algebra) -> Any:
    """Product form: M = A, Z = I; Z <- mu Z (I + N) / 2, M <- (I + (mu^2 M + N) / 2) / 2, N = M^(-1) / mu^2; Z.

    mu = |det M|^(-1/(2 n)) in the first `scaled_steps` steps, 1 after.
    """
    m, z = A, _one(A)
    for k in range(target.steps):
        mu = algebra.determinantal_scale(m) if k < target.scaled_steps else 1
        n = algebra.inverse(m) / (mu * mu)
        m, z = (1 + (mu * mu * m + n) / 2) / 2, mu * (z * (1 + n)) / 2
    return z


def minimax(A: Any, target: Steps, algebra: Algebra) -> Any:
    """Minimax: c = ||A||_F, Y = A / c, Z = I; P = Z Y, H = a I + b P + c P^2, Y <- Y H, Z <- H Z; Z / sqrt(c).

    The coefficients of each step are those of `coefficients.minimax_coefficients`; cubics have no P^2 term.
    """
    degree = {"minimax_cubic": 3, "minimax_quintic": 5}[target.iteration]
    c = algebra.norm(A)
    y, z = A / c, _one(A)
    for coefficients in minimax_coefficients(degree, target.lower, target.steps):
        a, b, *quartic = (algebra.number(value) for value in coefficients)
        p = z * y
        h = a + p * (b + quartic[0] * p) if quartic else a + b * p
        y, z = y * h, h * z
    return z / algebra.sqrt(c)


def _one(A: Any) -> Any:
    return A * 0 + 1


RECURRENCES: dict[str, Callable[[Any, Steps, Algebra], Any]] = {
    "newton_schulz": newton_schulz,
    "denman_beavers": denman_beavers,
    "denman_beavers_plain": denman_beavers_plain,
    "minimax_cubic": minimax,
    "minimax_quintic": minimax,
}
POLYNOMIAL = ("newton_schulz", "minimax_cubic", "minimax_quintic")


def t_steps(A: Any, target: Steps, algebra: Algebra) -> Any:
    """Return the T-step map of the target at A, an element of the algebra."""
    return RECURRENCES[target.iteration](A, target, algebra)


def is_polynomial(target: Target) -> bool:
    """Return whether f inverts nothing and so is defined at every symmetric matrix but zero."""
    return isinstance(target, Steps) and target.iteration in POLYNOMIAL
