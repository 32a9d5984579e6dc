"""The exact inverse square root of any positive definite matrix: refined from float64, certified by its residual.

Refinement. With R = I - X A X, Newton's correction E of X solves the Sylvester equation

    E A^(1/2) + A^(1/2) E = R,

in the eigenbasis of A: E_ij = R_ij / (sqrt(lambda_i) + sqrt(lambda_j)). R is computed in ball arithmetic and E from
float64 eigenpairs, so every step multiplies the error by about u kappa. (The inverse-free X <- X (3 I - A X X) / 2
would not do: it multiplies errors that do not commute with A by up to sqrt(kappa) / 2, Higham section 6.4.)

Certificate. Let X be symmetric positive definite and ||I - X A X||_2 <= rho < 1. In the Loewner order then
(1 - rho) I <= X A X <= (1 + rho) I, so (1 - rho) X^(-2) <= A <= (1 + rho) X^(-2), and because the inverse is
operator antitone and the square root operator monotone,

    (1 + rho)^(-1/2) X <= A^(-1/2) <= (1 - rho)^(-1/2) X.

Hence -eps X <= A^(-1/2) - X <= eps X with eps = (1 - rho)^(-1/2) - 1, and A^(-1/2) - X = X^(1/2) K X^(1/2) with
||K||_2 <= eps. By the Cauchy-Schwarz inequality of unitarily invariant norms

    ||A^(-1/2) - X||_F <= eps ||X||_F:

the relative error is about rho / 2, without a condition number. By Sylvester's law of inertia X A X > 0 also proves
that A is positive definite. (With rho' = ||I - A X^2||_F, P = X^2 and Q = A^(-1), D = X - A^(-1/2) solves
X D + D A^(-1/2) = P - Q, hence ||D||_F <= ||X||_2^2 sqrt(||A||_2) rho' / (1 - rho'). That bound holds too; relative to
||X|| it is larger by about sqrt(kappa).)

References:
    Higham, Functions of Matrices, SIAM 2008, chapter 6.
    Bhatia, Matrix Analysis, 1997, propositions V.1.6, V.1.8 (monotone functions) and section IV.5 (norms).
    Rump, Verification of positive definiteness, BIT 46, 2006.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.verify.oracles.balls import Enclosure, ball_matrix, flint, midpoints, norm_bound, precision
from ndbench.verify.oracles.unavailable import OracleUnavailable

BITS = 256
# relative error rho / 2 far below the rounding of the answer to float64
NARROW = 2.0**-72
REFINEMENTS = 30


def enclose_inverse_sqrt(A: NDArray[np.float64]) -> Enclosure:
    """Return an enclosure of A^(-1/2).

    Raises:
        OracleUnavailable: if the refinement stalls, as it does from a condition of about 1e15.
    """
    eigenvalues, V = np.linalg.eigh(A)
    if not eigenvalues[0] > 0:
        raise OracleUnavailable(
            f"enclose_inverse_sqrt: A must be positive definite in float64; its smallest eigenvalue is "
            f"{eigenvalues[0]:.3g} of {eigenvalues[-1]:.3g}"
        )
    with precision(BITS):
        return certify(_refine(ball_matrix(A), np.sqrt(eigenvalues), V), ball_matrix(A))


def _refine(A: Any, roots: NDArray[np.float64], V: NDArray[np.float64]) -> Any:
    """Return X near A^(-1/2) for eigenvalues roots^2 and eigenvectors V of A in float64."""
    X = _symmetrized(ball_matrix((V / roots) @ V.T))
    sums = roots[:, None] + roots
    last = np.inf
    for _ in range(REFINEMENTS):
        R = 1 - X * A * X
        rho = float(norm_bound(R))
        if rho <= NARROW or not rho < last:
            break
        last = rho
        X = _symmetrized(X + ball_matrix(V @ ((V.T @ midpoints(R) @ V) / sums) @ V.T))
    return X


def certify(X: Any, A: Any) -> Enclosure:
    """Return an enclosure of A^(-1/2) around an exactly symmetric X, for arb_mat X and A.

    Raises:
        OracleUnavailable: if the residual is not below `NARROW` or X not shown to be positive definite.
    """
    rho = norm_bound(1 - X * A * X)
    if not rho <= NARROW:
        raise OracleUnavailable(
            f"certify: the residual ||I - X A X||_F must be at most {NARROW:.1e} but is {float(rho):.3g}; "
            f"A is too ill-conditioned to be refined from float64"
        )
    if not positive_definite(X):
        raise OracleUnavailable("certify: X could not be shown to be symmetric positive definite")
    eps = 1 / (1 - rho).sqrt() - 1
    return Enclosure(X, (eps * norm_bound(X)).upper(), f"residual in ball arithmetic, {flint.ctx.prec} bits")


def positive_definite(X: Any) -> bool:
    """Return whether a float64 Cholesky factorisation proves an exact X to be symmetric positive definite.

    If Cholesky runs to completion on W in floating point, then W + E is positive semidefinite for some
    ||E||_2 <= (n + 1) u / (1 - 2 (n + 1) u) tr W (Rump). Rounding X to W and subtracting the shift move
    eigenvalues by at most 2 u tr W more (Weyl; ||W||_F <= tr W once W is positive definite). The shift below is twice
    the sum.
    """
    W, n = midpoints(X), X.nrows()
    if not (X.mid() - X.mid().transpose() == X * 0 and X.mid().contains(X)):
        return False
    shift = 2 * (n + 4) * np.finfo(np.float64).eps / 2 * float(np.trace(W))
    try:
        np.linalg.cholesky(W - shift * np.eye(n))
    except np.linalg.LinAlgError:
        return False
    return True


def _symmetrized(X: Any) -> Any:
    """Return the midpoints of (X + X^T) / 2, exactly symmetric."""
    return ((X + X.transpose()) / 2).mid()
