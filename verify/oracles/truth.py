"""The truth about a matrix and a target, from the strongest oracle that can give it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.targets import Exact, Target
from ndbench.verify.oracles import balls
from ndbench.verify.oracles.eigenvalue_enclosure import enclose_by_eigenvalues
from ndbench.verify.oracles.float64 import UNIT_ROUNDOFF, float64_truth
from ndbench.verify.oracles.multiprecision import DIGITS, multiprecision_truth
from ndbench.verify.oracles.recurrence_enclosure import enclose_recurrence
from ndbench.verify.oracles.recurrences import is_polynomial
from ndbench.verify.oracles.residual import enclose_inverse_sqrt
from ndbench.verify.oracles.unavailable import OracleUnavailable

# eigsy takes 0.04 s there: a batch of dozens of matrices stays within seconds
MULTIPRECISION_ORDER = 12
# up to here the products of the recurrence in ball arithmetic cost less than certified eigenpairs
FEW_STEPS = 8


@dataclass(frozen=True, eq=False)
class Truth:
    """f(A) in float64 and how far it may be off.

    Attributes:
        value: f(A), (n, n), symmetric.
        relative_error: ||value - f(A)||_F / ||f(A)||_F is at most this, the rounding to float64 included.
        rigorous: whether relative_error is proven; otherwise it is an estimate.
        eigenvalues: of A, ascending, from LAPACK in float64: each to about u ||A||_2.
        source: the oracle, for the report.
    """

    value: NDArray[np.float64]
    relative_error: float
    rigorous: bool
    eigenvalues: NDArray[np.float64]
    source: str


def truth(A: NDArray[np.floating[Any]], target: Target, *, precision: str = "float64") -> Truth:
    """Return f(A) for the function f that the target names.

    Args:
        A: exactly symmetric, (n, n), finite; positive definite unless the target is a polynomial map.
        target: `Exact()` or `Steps(...)`.
        precision: "float64" for LAPACK; "certified" for a rigorous enclosure by python-flint, or, where that is not
            installed and n <= 12, for 50 digits of mpmath (then `rigorous` is false).

    Raises:
        ValueError: if A is not what it must be.
        OracleUnavailable: if there is no certified oracle for this matrix here.

    Example:
        >>> truth(np.diag([4.0, 16.0]), Exact()).value.tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    matrix = A.astype(np.float64)
    _require_symmetric(matrix)
    eigenvalues = np.linalg.eigvalsh(matrix).astype(np.float64)
    if precision == "float64":
        _require_domain(eigenvalues, target)
        value, error = float64_truth(matrix, target)
        return Truth(value, error, False, eigenvalues, "LAPACK eigh, float64")
    if precision != "certified":
        raise ValueError(f'truth: precision must be "float64" or "certified"; got {precision!r}')
    if not balls.AVAILABLE:
        return _from_mpmath(matrix, target, eigenvalues)
    enclosure = _enclosure(matrix, target)
    value, error = enclosure.rounded()
    return Truth(value, error, True, eigenvalues, enclosure.source)


def _enclosure(A: NDArray[np.float64], target: Target) -> balls.Enclosure:
    """Try the quicker oracle first and the other where that one cannot answer."""
    if isinstance(target, Exact):
        try:
            return enclose_inverse_sqrt(A)
        except OracleUnavailable:
            return enclose_by_eigenvalues(A, target)
    if is_polynomial(target) and target.steps <= FEW_STEPS:
        return enclose_recurrence(A, target)
    try:
        return enclose_by_eigenvalues(A, target)
    except OracleUnavailable:
        return enclose_recurrence(A, target)


def _from_mpmath(A: NDArray[np.float64], target: Target, eigenvalues: NDArray[np.float64]) -> Truth:
    if len(A) > MULTIPRECISION_ORDER:
        raise OracleUnavailable(
            f"truth: certified truth of order {len(A)} needs python-flint; install ndbench[certified] "
            f"(mpmath stands in up to order {MULTIPRECISION_ORDER})"
        )
    _require_domain(eigenvalues, target)
    X, error = multiprecision_truth(A, target)
    return Truth(X.astype(np.float64), error + UNIT_ROUNDOFF, False, eigenvalues, f"mpmath eigsy, {DIGITS} digits")


def _require_symmetric(A: NDArray[np.float64]) -> None:
    if A.ndim != 2 or A.shape[0] != A.shape[1] or A.shape[0] == 0:
        raise ValueError(f"truth: A must be one square matrix, (n, n); got shape {A.shape}")
    if not np.isfinite(A).all():
        raise ValueError(f"truth: A must be finite; {np.count_nonzero(~np.isfinite(A))} entries are not")
    if not (A == A.T).all():
        raise ValueError(
            f"truth: A must be exactly symmetric; it differs from its transpose by {abs(A - A.T).max():.3g}; "
            f"symmetrise the problem before anything is computed from it"
        )


def _require_domain(eigenvalues: NDArray[np.float64], target: Target) -> None:
    if not is_polynomial(target) and not eigenvalues[0] > 0:
        raise ValueError(
            f"truth: A must be positive definite for {target}; its smallest eigenvalue is {eigenvalues[0]:.3g} of "
            f"{eigenvalues[-1]:.3g} in float64"
        )
