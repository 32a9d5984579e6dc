"""Certified eigendecomposition: rigorous enclosures of all eigenpairs, for simple spectra.

`acb_mat.eig` of python-flint encloses eigenvalues and left and right eigenvectors of a matrix whose eigenvalues
it can separate. With left vectors l_i A = lambda_i l_i and right vectors A r_i = r_i lambda_i, l_i r_j = 0 for
i != j, hence

    f(A) = sum_i f(lambda_i) r_i l_i / (l_i r_i),

however the vectors are normalised. A symmetric matrix has real eigenvalues and f(A) is real, so imaginary parts
are dropped.

References:
    van der Hoeven and Mourrain, Efficient certification of numeric solutions to eigenproblems, MACIS 2017.
    Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, 2017.
"""

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ndbench.targets import Target
from ndbench.verify.oracles.balls import NARROW, Enclosure, ball_matrix, flint, narrow_enclosure, spectrum_of_balls
from ndbench.verify.oracles.spectrum import of_spectrum

BITS = (128, 256, 512)


def enclose_by_eigenvalues(A: NDArray[np.float64], target: Target, *, narrow: float = NARROW) -> Enclosure:
    """Return an enclosure of f(A) of relative radius at most `narrow`.

    Raises:
        OracleUnavailable: if eigenvalues are repeated, or too close for the last of `BITS`.
    """
    return narrow_enclosure(lambda: _matrix_function(A, target), BITS, narrow, "flint acb_mat.eig")


def _matrix_function(A: NDArray[np.float64], target: Target) -> Any:
    eigenvalues, L, R = _eigenpairs(A.tobytes(), len(A), flint.ctx.prec)
    f = of_spectrum(target, np.array([x.real for x in eigenvalues], dtype=object), spectrum_of_balls())
    products = L * R
    scaled = [[L[i, j] * (f[i] / products[i, i]) for j in range(len(f))] for i in range(len(f))]
    return (R * flint.acb_mat(scaled)).real


@lru_cache(maxsize=32)
def _eigenpairs(entries: bytes, n: int, bits: int) -> Any:
    """Eigenvalues, left and right vectors at the precision in force, `bits`: kept, since every target needs them."""
    A = np.frombuffer(entries).reshape(n, n)
    return flint.acb_mat(ball_matrix(A)).eig(left=True, right=True)
