"""How far the oracles are from the strongest one: what they may be trusted with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.targets import Exact, Target
from ndbench.verify.oracles.balls import ball_matrix, frobenius, norm_bound, precision
from ndbench.verify.oracles.eigenvalue_enclosure import enclose_by_eigenvalues
from ndbench.verify.oracles.float64 import float64_truth
from ndbench.verify.oracles.multiprecision import multiprecision_truth
from ndbench.verify.oracles.recurrence_enclosure import enclose_recurrence
from ndbench.verify.oracles.residual import enclose_inverse_sqrt

CONDITIONS = (1e2, 1e6, 1e12)
# narrower than any error that is compared with it
STRONGEST = 2.0**-170


@dataclass(frozen=True)
class OracleError:
    """One row: the relative error in the Frobenius norm against `acb_mat.eig` at up to 512 bits, before rounding."""

    oracle: str
    n: int
    condition: float
    error: float


def oracle_errors(
    target: Target | None = None, *, n: int = 12, conditions: Sequence[float] = CONDITIONS, seed: int = 0
) -> list[OracleError]:
    """Return the error of every oracle at matrices of order n with geometric spectra.

    Args:
        target: the function, by default `Exact()`.
        n: the order; mpmath takes 0.6 s per matrix at 32.
        conditions: condition numbers.
        seed: of the random eigenvectors.

    Raises:
        OracleUnavailable: if python-flint is missing or cannot enclose f(A).
    """
    chosen = target or Exact()
    return [row for condition in conditions for row in _rows(chosen, n, condition, seed)]


def planted(n: int, condition: float, seed: int) -> NDArray[np.float64]:
    """Return a symmetric matrix with nearly the eigenvalues 1 to 1 / condition in geometric progression."""
    Q, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))
    A: NDArray[np.float64] = (Q * np.geomspace(1, 1 / condition, n)) @ Q.T
    return (A + A.T) / 2


def _rows(target: Target, n: int, condition: float, seed: int) -> list[OracleError]:
    A = planted(n, condition, seed)
    strongest = enclose_by_eigenvalues(A, target, narrow=STRONGEST).center
    return [
        OracleError(name, n, condition, _distance(of(A, target), strongest)) for name, of in _oracles(target).items()
    ]


def _oracles(target: Target) -> dict[str, Callable[[NDArray[np.float64], Any], Any]]:
    """Return the oracles of a target, each giving an arb_mat."""
    common: dict[str, Callable[[NDArray[np.float64], Any], Any]] = {
        "LAPACK eigh, float64": lambda A, f: ball_matrix(float64_truth(A, f)[0]),
        "mpmath eigsy, 50 digits": lambda A, f: ball_matrix(multiprecision_truth(A, f)[0]),
        "flint acb_mat.eig": lambda A, f: enclose_by_eigenvalues(A, f).center,
    }
    if isinstance(target, Exact):
        return {**common, "residual in ball arithmetic": lambda A, _: enclose_inverse_sqrt(A).center}
    return {**common, "recurrence in ball arithmetic": lambda A, f: enclose_recurrence(A, f).center}


def _distance(X: Any, strongest: Any) -> float:
    with precision(512):
        return float(norm_bound(X - strongest) / frobenius(strongest))
