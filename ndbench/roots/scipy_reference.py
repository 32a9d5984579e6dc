"""Two references that share no code with the rest: SciPy's matrix square root and fractional power.

They run on the CPU, matrix by matrix. Half types are computed in float32 and rounded once. SciPy is loaded when it is
first asked for: where it is not installed everything else runs.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.environment import optional
from ndbench.roots.precision import working_type

Matrix = NDArray[Any]


def scipy_sqrtm(A: Tensor) -> Tensor:
    """A^(-1/2) as the inverse of `scipy.linalg.sqrtm`: a Schur method.

    Raises:
        ImportError: where SciPy is not installed.

    References:
        Deadman, Higham and Ralha, Blocked Schur algorithms for computing the matrix square root, 2013.
    """
    linalg = _linalg("scipy_sqrtm")
    return _each(A, lambda a: linalg.inv(linalg.sqrtm(a)))


def scipy_power(A: Tensor) -> Tensor:
    """A^(-1/2) by `scipy.linalg.fractional_matrix_power`: a Schur-Pade method.

    SciPy takes square roots until the spectrum is near 1, and loses a little with each: A is scaled to unit size first,
    by a power of 4, which is exact.

    Raises:
        ImportError: where SciPy is not installed.

    References:
        Higham and Lin, An improved Schur-Pade algorithm for fractional powers of a matrix, 2013.
    """
    power = _linalg("scipy_power").fractional_matrix_power

    def of_unit_size(a: Matrix) -> Matrix:
        exponent = int(np.frexp(np.abs(a).max())[1]) // 2
        root: Matrix = power(np.ldexp(a, -2 * exponent), -0.5)
        return root * 2.0**-exponent

    return _each(A, of_unit_size)


def _linalg(method: str) -> Any:
    if linalg := optional("scipy.linalg"):
        return linalg
    raise ImportError(
        f"inverse_sqrt: method {method!r} needs SciPy, which is not installed; use method='spectral', which computes "
        "the same function"
    )


def _each(A: Tensor, root: Callable[[Matrix], Matrix]) -> Tensor:
    """Apply `root` to every matrix of A."""
    matrices = A.detach().to("cpu", working_type(A.dtype)).numpy().reshape(-1, *A.shape[-2:])
    answers = [_real(root(matrix), matrix.dtype) for matrix in matrices]
    stacked = np.stack(answers) if answers else matrices
    return torch.from_numpy(stacked).reshape(A.shape).to(A)


def _real(root: Matrix, dtype: np.dtype[Any]) -> Matrix:
    """The real part, or NaN where the imaginary part is more than rounding: then A was not positive definite.

    Schur forms of nearly repeated eigenvalues hold 2 x 2 blocks whose complex pairs leave imaginary parts of rounding
    size.
    """
    imaginary = np.abs(root.imag).max(initial=0.0)
    negligible = imaginary <= np.sqrt(np.finfo(dtype).eps) * np.abs(root.real).max(initial=0.0)
    return root.real.astype(dtype) if negligible else np.full(root.shape, np.nan, dtype)
