"""What the tests of these kernels compare: problems, the truth in float64, and how far off an answer may be."""

import numpy as np
import torch
from torch import Tensor

from ndbench.kernels.denman_beavers import ProductFormKernels
from ndbench.roots.adjoints import ProductForm
from tests.roots.spd import batch

ORDERS = (*range(1, 71), 96, 128, 144, 147)
CLASSES = (5, 20, 40, 70)
"""Orders of every class: sweeps with 16 and with 32 rows, sweeps with reversal on tiles, tiles alone."""

THREE = ProductForm(3, 1)
"""Scaled and unscaled steps, and quick to interpret."""

ALLOWED = 3e-6
"""Relative error of float32, 50 units: right kernels reach a tenth of it at condition 100."""


def kernels(iteration: ProductForm = THREE, precision: str = "ieee") -> ProductFormKernels:
    return ProductFormKernels(iteration, precision, keep=False)


def matrices(n: int, device: str, count: int = 2, condition: float = 100.0) -> Tensor:
    A = batch(n, condition if n > 1 else 1.0, shape=(count,))
    return ((A + A.mT) / 2).float().to(device)


def upstream(A: Tensor) -> Tensor:
    """Gradients with respect to D, not symmetric."""
    generator = np.random.default_rng(A.shape[-1])
    return torch.from_numpy(generator.standard_normal(A.shape)).to(A)


def true_root(A: Tensor, iteration: ProductForm = THREE) -> Tensor:
    return iteration.run(A.double())[0]


def true_gradient(A: Tensor, G: Tensor, iteration: ProductForm = THREE) -> Tensor:
    return iteration.pull_back(A.double(), iteration.run(A.double())[1:], G.double())


def distance(found: Tensor, truth: Tensor) -> float:
    """The largest relative error of a batch in the Frobenius norm; infinite where something is not finite."""
    difference = torch.linalg.matrix_norm(found.double() - truth)
    scale = torch.linalg.matrix_norm(truth)
    # the gradient of a single step from the identity may vanish
    return float((difference / torch.where(scale > 0, scale, 1.0)).nan_to_num(nan=torch.inf).max())
