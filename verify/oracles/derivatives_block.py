r"""Derivatives of the targets without eigenvalues: block matrices, complex steps and the Lyapunov equation.

Block matrix: f([[A, E], [0, A]]) = [[f(A), L(A, E)], [0, f(A)]] for every function of a matrix. Where the recurrence
holds a norm or a determinant s, that too becomes [[s I, ds I], [0, s I]], and all rules of arithmetic hold.

Complex step: f(A + i h E) = f(A) + i h L(A, E) + O(h^2), h so small that the O(h^2) vanishes. Norms are sqrt(tr X^T X)
and not sqrt(tr X^H X): only analytic functions have this expansion.

Lyapunov: R^2 = A and X = R^-1 give R dR + dR R = dA and dX = -X dR X; so the gradient of <G, X> is the solution W of
R W + W R = -X G X.

Each evaluates the derivative in every direction of a basis, and the gradient of <G, f> is what they give there.

References:
    Higham, Functions of Matrices, SIAM 2008, equation (3.16) and problem 3.5 (block matrix), section 6.1 (square root).
    Al-Mohy and Higham, The complex step approximation to the Frechet derivative of a matrix function, 2010.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.environment import optional
from ndbench.targets import Exact, Steps, Target
from ndbench.verify.oracles.recurrences import t_steps
from ndbench.verify.oracles.unavailable import OracleUnavailable

Batch = NDArray[Any]
Derivative = Callable[[NDArray[np.float64], Batch, Target], Batch]

TINY = 1e-30
"""The complex step, relative to A: its square is below every rounding error, and itself far above underflow."""
CONVERGED = Steps("denman_beavers", 30, scaled_steps=8)
"""Steps after which the iteration and its derivative have converged at condition 1e12."""


@dataclass(frozen=True, eq=False)
class Matrices:
    """Square matrices (..., m, m) with matrix products; a number stands for that multiple of the identity."""

    entries: Batch

    __array_ufunc__ = None

    def __add__(self, other: Any) -> "Matrices":
        if isinstance(other, Matrices):
            return Matrices(self.entries + other.entries)
        return Matrices(self.entries + other * np.eye(self.entries.shape[-1]))

    def __mul__(self, other: Any) -> "Matrices":
        return Matrices(self.entries @ other.entries if isinstance(other, Matrices) else self.entries * other)

    def __truediv__(self, other: Any) -> "Matrices":
        return self * (other.inverse() if isinstance(other, Matrices) else 1 / other)

    def __rsub__(self, other: Any) -> "Matrices":
        difference: Matrices = (self * -1) + other
        return difference

    __radd__ = __add__
    __rmul__ = __mul__

    def inverse(self) -> "Matrices":
        """X^(-1)."""
        return Matrices(np.linalg.inv(self.entries))


class BlockMatrices:
    """The algebra of [[X, dX], [0, X]], see `recurrences.Algebra`."""

    def norm(self, A: Matrices) -> Matrices:
        """||A||_F with the derivative <A, dA> / ||A||_F."""
        X, dX = _blocks(A)
        c = np.linalg.norm(X, axis=(-2, -1))
        return _scalar(c, (X * dX).sum(axis=(-2, -1)) / c, X.shape[-1])

    def inverse(self, X: Matrices) -> Matrices:
        """X^(-1)."""
        return X.inverse()

    def determinantal_scale(self, M: Matrices) -> Matrices:
        """Mu = |det M|^(-1/(2 n)) with the derivative -mu tr(M^-1 dM) / (2 n)."""
        X, dX = _blocks(M)
        n = X.shape[-1]
        mu = np.exp(-np.linalg.slogdet(X).logabsdet / (2 * n))
        return _scalar(mu, -mu * np.trace(np.linalg.solve(X, dX), axis1=-2, axis2=-1) / (2 * n), n)

    def sqrt(self, x: Matrices) -> Matrices:
        """The square root of a multiple of the identity."""
        s, ds = (block[..., 0, 0] for block in _blocks(x))
        return _scalar(np.sqrt(s), ds / (2 * np.sqrt(s)), x.entries.shape[-1] // 2)

    def number(self, value: Any) -> float:
        """A coefficient in float64."""
        return float(value)


class ComplexMatrices:
    """The algebra of complex matrices with analytic norm and determinant, see `recurrences.Algebra`."""

    def norm(self, A: Matrices) -> Matrices:
        """sqrt(tr A^T A)."""
        return _multiple(np.sqrt((A.entries**2).sum(axis=(-2, -1))), A.entries.shape[-1])

    def inverse(self, X: Matrices) -> Matrices:
        """X^(-1)."""
        return X.inverse()

    def determinantal_scale(self, M: Matrices) -> Matrices:
        """exp(-log det M / (2 n)), the logarithm near the real axis."""
        n = M.entries.shape[-1]
        sign, logarithm = np.linalg.slogdet(M.entries)
        return _multiple(np.exp(-(logarithm + 1j * sign.imag) / (2 * n)), n)

    def sqrt(self, x: Matrices) -> Matrices:
        """The square root of a multiple of the identity."""
        return _multiple(np.sqrt(x.entries[..., 0, 0]), x.entries.shape[-1])

    def number(self, value: Any) -> float:
        """A coefficient in float64."""
        return float(value)


def block_derivatives(A: NDArray[np.float64], E: Batch, target: Target) -> Batch:
    """L(A, E) for every direction in E, (m, n, n), by block matrices.

    Raises:
        OracleUnavailable: for the exact root, where SciPy is not installed.
    """
    n = len(A)
    B = np.zeros((len(E), 2 * n, 2 * n))
    B[:, :n, :n] = B[:, n:, n:] = A
    B[:, :n, n:] = E
    if isinstance(target, Exact):
        sqrtm = _linalg().sqrtm
        return np.stack([np.linalg.inv(sqrtm(b)).real[:n, n:] for b in B])
    return np.asarray(t_steps(Matrices(B), target, BlockMatrices()).entries[:, :n, n:])


def complex_step_derivatives(A: NDArray[np.float64], E: Batch, target: Target) -> Batch:
    """L(A, E) for every direction in E, (m, n, n), by complex steps; the exact root by converged Denman-Beavers."""
    h = TINY * np.linalg.norm(A)
    steps = CONVERGED if isinstance(target, Exact) else target
    return np.asarray(t_steps(Matrices(A + 1j * h * E), steps, ComplexMatrices()).entries.imag / h)


def gradient_by(derivatives: Derivative, A: NDArray[np.float64], target: Target, G: Batch) -> Batch:
    """The symmetric gradient of <G, f(A)>: g_ij = <G, L(A, E_ij)> for E_ij = (e_i e_j^T + e_j e_i^T) / 2."""
    rows, columns = np.triu_indices(len(A))
    E = symmetric_basis(len(A))
    inner = (G * derivatives(A, E, target)).sum(axis=(-2, -1))
    g = np.zeros_like(A)
    g[rows, columns] = g[columns, rows] = inner
    return g


def symmetric_basis(n: int) -> Batch:
    """(e_i e_j^T + e_j e_i^T) / 2 for i <= j, (n (n + 1) / 2, n, n)."""
    rows, columns = np.triu_indices(n)
    E = np.zeros((len(rows), n, n))
    here = np.arange(len(rows))
    E[here, rows, columns] += 0.5
    E[here, columns, rows] += 0.5
    return E


def lyapunov_gradient(A: NDArray[np.float64], G: Batch) -> Batch:
    """The gradient of <G, A^(-1/2)>: R W + W R = -X G X with R = A^(1/2), X = R^-1, by Schur methods.

    Raises:
        OracleUnavailable: where SciPy is not installed.
    """
    linalg = _linalg()
    R = np.asarray(linalg.sqrtm(A)).real
    R = (R + R.T) / 2
    X = np.linalg.inv(R)
    return np.asarray(linalg.solve_continuous_lyapunov(R, -X @ G @ X))


def _linalg() -> Any:
    if linalg := optional("scipy.linalg"):
        return linalg
    raise OracleUnavailable("Schur's square root and the Lyapunov equation need SciPy, which is not installed")


def _blocks(M: Matrices) -> tuple[Batch, Batch]:
    n = M.entries.shape[-1] // 2
    return M.entries[..., :n, :n], M.entries[..., :n, n:]


def _scalar(s: Batch, ds: Batch, n: int) -> Matrices:
    """[[s I, ds I], [0, s I]]."""
    nilpotent = np.kron([[0, 1], [0, 0]], np.eye(n))
    return Matrices(s[..., None, None] * np.eye(2 * n) + ds[..., None, None] * nilpotent)


def _multiple(s: Batch, n: int) -> Matrices:
    return Matrices(s[..., None, None] * np.eye(n))
