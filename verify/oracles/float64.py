"""The oracle in float64: LAPACK's symmetric eigensolver.

The computed eigenpairs are exact for some A + E with ||E||_2 <= p(n) u ||A||_2, so A^(-1/2) is off by about
u kappa / 2: 1e-11 at condition 1e6, 4e-6 at 1e12. It grades float32 and lower types up to condition 1e8; it does not
grade float64.
"""

import numpy as np
from numpy.typing import NDArray

from ndbench.targets import Target
from ndbench.verify.oracles.spectrum import floats, of_spectrum, sensitivity

UNIT_ROUNDOFF = 2.0**-53


def float64_truth(A: NDArray[np.float64], target: Target) -> tuple[NDArray[np.float64], float]:
    """Return f(A) and an estimate, not a bound, of its relative error in the Frobenius norm.

    The estimate supposes ||E||_F = 2 sqrt(n) u ||A||_2 and adds 16 u for the scalar map and the two products.
    """
    eigenvalues, V = np.linalg.eigh(A)
    algebra = floats(np.float64)
    X = (V * of_spectrum(target, eigenvalues, algebra)) @ V.T
    shift = 2 * np.sqrt(len(A)) * UNIT_ROUNDOFF * abs(eigenvalues).max()
    return (X + X.T) / 2, sensitivity(target, eigenvalues, shift, algebra) + 16 * UNIT_ROUNDOFF
