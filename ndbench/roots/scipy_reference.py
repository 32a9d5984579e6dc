"""Two references that share no code with the rest: SciPy's matrix square root and fractional power.

They run on the CPU, matrix by matrix. Half types are computed in float32 and rounded once.
"""

from collections.abc import Callable

import numpy as np
import scipy.linalg
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.roots.precision import working_type

Matrix = NDArray[np.floating]


def scipy_sqrtm(A: Tensor) -> Tensor:
    """A^(-1/2) as the inverse of `scipy.linalg.sqrtm`: a Schur method.

    References:
        Deadman, Higham and Ralha, Blocked Schur algorithms for computing the matrix square root, 2013.
    """
    return _each(A, lambda a: scipy.linalg.inv(scipy.linalg.sqrtm(a)))


def scipy_power(A: Tensor) -> Tensor:
    """A^(-1/2) by `scipy.linalg.fractional_matrix_power`: a Schur-Pade method.

    References:
        Higham and Lin, An improved Schur-Pade algorithm for fractional powers of a matrix, 2013.
    """
    return _each(A, lambda a: scipy.linalg.fractional_matrix_power(a, -0.5))


def _each(A: Tensor, root: Callable[[Matrix], Matrix]) -> Tensor:
    """Apply `root` to every matrix of A; a root that comes out complex is no answer, so it becomes NaN."""
    matrices = A.detach().to("cpu", working_type(A.dtype)).numpy().reshape(-1, *A.shape[-2:])
    answers = [_real(root(matrix)) for matrix in matrices]
    stacked = np.stack(answers) if answers else matrices
    return torch.from_numpy(stacked).reshape(A.shape).to(A)


def _real(root: Matrix) -> Matrix:
    return np.full(root.shape, np.nan) if np.iscomplexobj(root) else root
