"""Small batches of symmetric positive definite matrices for the tests of the roots."""

import numpy as np
import torch
from torch import Tensor

from ndbench.problems import planted

# eigenvalues 9 and 1 with eigenvectors (1, 1) and (1, -1)
FIVE_FOUR = torch.tensor([[5.0, 4.0], [4.0, 5.0]], dtype=torch.float64)
FIVE_FOUR_ROOT = torch.tensor([[2.0, -1.0], [-1.0, 2.0]], dtype=torch.float64) / 3


def batch(n: int, condition: float, dtype: torch.dtype = torch.float64, shape: tuple[int, ...] = (2,)) -> Tensor:
    """Matrices with geometric spectra, each 4 times the one before."""
    rng = np.random.default_rng(n)
    count = int(np.prod(shape))
    matrices = [4.0**i * planted(np.geomspace(1, 1 / condition, n), rng) for i in range(count)]
    return torch.from_numpy(np.stack(matrices)).reshape(*shape, n, n).to(dtype)


def whitening_residual(X: Tensor, A: Tensor) -> float:
    """||X A X - I||, the largest of the batch."""
    eye = torch.eye(A.shape[-1], dtype=A.dtype)
    return float(torch.linalg.matrix_norm(X @ A @ X - eye).max())
