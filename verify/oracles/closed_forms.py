"""Matrices whose inverse square root is known without any computation of eigenvalues.

They check every oracle and serve as test problems. `KnownSpectrum` has an orthogonal eigenbasis in closed form and
answers for every target; `KnownRoot` is the square of an integer matrix B, with A^(-1/2) = B^(-1) an integer matrix.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import hadamard as hadamard_matrix
from scipy.linalg import invpascal, pascal

from ndbench.targets import Exact, Target
from ndbench.verify.oracles.spectrum import MULTIPRECISION, of_spectrum

DIGITS = 60


@dataclass(frozen=True, eq=False)
class KnownSpectrum:
    """A = W diag(lambda_i / |w_i|^2) W^T, with orthogonal columns w_i.

    Attributes:
        name: what the matrix is called.
        A: the matrix, exact in float64.
        eigenvalues: vector of mpmath numbers of `DIGITS` digits.
        W: their eigenvectors as columns, mpmath numbers, of any length.
    """

    name: str
    A: NDArray[np.float64]
    eigenvalues: NDArray[Any]
    W: NDArray[Any]

    def multiprecision(self, target: Target) -> NDArray[Any]:
        """Return f(A) as mpmath numbers."""
        with mpmath.workdps(DIGITS):
            f = of_spectrum(target, self.eigenvalues, MULTIPRECISION)
            X: NDArray[Any] = (self.W * (f / (self.W * self.W).sum(axis=0))) @ self.W.T
        return X

    def truth(self, target: Target) -> NDArray[np.float64]:
        """Return f(A), rounded to float64."""
        return self.multiprecision(target).astype(np.float64)

    @property
    def inverse_sqrt(self) -> NDArray[np.float64]:
        """A^(-1/2), rounded to float64."""
        return self.truth(Exact())


@dataclass(frozen=True, eq=False)
class KnownRoot:
    """A matrix with a known exact inverse square root.

    Attributes:
        name: what the matrix is called.
        A: the matrix, exact in float64.
        inverse_sqrt: A^(-1/2), exact in float64.
    """

    name: str
    A: NDArray[np.float64]
    inverse_sqrt: NDArray[np.float64]


def scaled_identity(n: int, value: float) -> KnownSpectrum:
    """Return value * I of order n."""
    return diagonal([value] * n)


def diagonal(values: Sequence[float]) -> KnownSpectrum:
    """Return diag(values)."""
    return KnownSpectrum(
        "diagonal", np.diag(np.array(values, dtype=np.float64)), _exact(values), _exact(np.eye(len(values)))
    )


def hadamard(exponents: Sequence[int]) -> KnownSpectrum:
    """Return H diag(4^e_i) H / n with Sylvester's Hadamard matrix H: A and A^(-1/2) are exact, spectra repeat exactly.

    Args:
        exponents: a power of two of them; equal ones give repeated eigenvalues, 0 and 20 a condition of 4^20 = 1e12.

    Raises:
        ValueError: if A is not exact in float64 because the exponents spread too far.

    Example:
        >>> hadamard([0, 1]).A.tolist(), hadamard([0, 1]).inverse_sqrt.tolist()
        ([[2.5, -1.5], [-1.5, 2.5]], [[0.75, 0.25], [0.25, 0.75]])
    """
    n = len(exponents)
    if n.bit_length() - 1 + 2 * (max(exponents) - min(exponents)) > 52:
        raise ValueError(
            f"hadamard: n 4^(max - min) must be at most 2^52 for A to be exact; got n = {n}, exponents "
            f"{min(exponents)} to {max(exponents)}"
        )
    H = np.asarray(hadamard_matrix(n), dtype=np.float64)
    values = np.ldexp(1.0, 2 * np.array(exponents))
    return KnownSpectrum("hadamard", (H * values) @ H.T / n, _exact(values), _exact(H))


def minij(n: int) -> KnownSpectrum:
    """Return A_ij = min(i, j), i, j = 1 to n.

    lambda_k = 1 / (4 sin^2(t_k / 2)) and w_k(j) = sin(j t_k) with t_k = (2 k - 1) pi / (2 n + 1): the inverse is the
    second difference matrix with one free end.

    References:
        Fortiana and Cuadras, A family of matrices, the discretized Brownian bridge, Linear Algebra Appl. 264, 1997.
    """
    A = np.minimum.outer(np.arange(1.0, n + 1), np.arange(1.0, n + 1))
    with mpmath.workdps(DIGITS):
        angles = [mpmath.pi * (2 * k - 1) / (2 * n + 1) for k in range(1, n + 1)]
        W = [[mpmath.sin(j * t) for t in angles] for j in range(1, n + 1)]
        eigenvalues = [1 / (4 * mpmath.sin(t / 2) ** 2) for t in angles]
    return KnownSpectrum("minij", A, np.array(eigenvalues, dtype=object), np.array(W, dtype=object))


def two_by_two(a: float, b: float, c: float) -> KnownRoot:
    """Return [[a, b], [b, c]], positive definite.

    With d = sqrt(det A) and s = sqrt(a + c + 2 d), A^(1/2) = (A + d I) / s by Cayley and Hamilton, hence
    A^(-1/2) = [[c + d, -b], [-b, a + d]] / (s d), rounded once.

    References:
        Levinger, The square root of a 2 x 2 matrix, Mathematics Magazine 53, 1980.
    """
    with mpmath.workdps(DIGITS):
        p, q, r = mpmath.mpf(a), mpmath.mpf(b), mpmath.mpf(c)
        d = mpmath.sqrt(p * r - q * q)
        root = np.array([[r + d, -q], [-q, p + d]], dtype=object) / (mpmath.sqrt(p + r + 2 * d) * d)
        return KnownRoot("two_by_two", np.array([[a, b], [b, c]]), root.astype(np.float64))


def squared_pascal(n: int) -> KnownRoot:
    """Return P^2 for the symmetric Pascal matrix P of order n <= 12: A^(-1/2) = P^(-1) is an integer matrix.

    The condition grows from 4.8e5 at n = 4 over 4e14 at n = 8 to 8e23 at n = 12.

    References:
        Higham, Accuracy and Stability of Numerical Algorithms, SIAM 2002, section 28.4.
    """
    if not 1 <= n <= 12:
        raise ValueError(f"squared_pascal: n must lie in 1 to 12; got {n}")
    P = np.asarray(pascal(n, kind="symmetric"), dtype=np.float64)
    return KnownRoot("squared_pascal", P @ P, np.asarray(invpascal(n, kind="symmetric"), dtype=np.float64))


def _exact(values: Any) -> NDArray[Any]:
    """Return the numbers as mpmath numbers, unchanged."""
    return np.array(np.frompyfunc(mpmath.mpf, 1, 1)(np.asarray(values, dtype=np.float64)), dtype=object)
