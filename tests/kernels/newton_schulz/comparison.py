"""What the tests of these kernels compare: problems, the truth in float64, and how far off an answer may be."""

import torch
from torch import Tensor

from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.roots.adjoints import Coupled
from ndbench.roots.adjoints.choice import steps_of
from tests.roots.spd import batch

ORDERS = (*range(1, 71), 96, 128, 144, 147)
CLASSES = (5, 20, 40, 70, 130)
"""Orders of every class of kernels: registers of 16 and of 32, scratch of 64 and of 128, tiles."""

ITERATIONS = {
    f"{method}.T{T}": steps_of(method, T, 1e-2, 0)
    for method in ("newton_schulz", "minimax_cubic", "minimax_quintic")
    for T in (1, 2, 4)
}
THREE = steps_of("newton_schulz", 3, 1e-4, 0)
"""Three steps: enough for every phase, and quick to interpret."""

ALLOWED = 4e-6
"""Relative error of float32, some 60 units: right kernels reach a quarter of it at condition 10."""


def kernels(iteration: Coupled = THREE, precision: str = "ieee") -> CoupledKernels:
    return CoupledKernels(iteration, precision)


def matrices(n: int, device: str, count: int = 2, dtype: torch.dtype = torch.float32) -> Tensor:
    return batch(n, 10.0 if n > 1 else 1.0, dtype=dtype, shape=(count,)).to(device)


def upstream(A: Tensor) -> Tensor:
    """Gradients with respect to D, not symmetric."""
    return torch.randn(A.shape, generator=torch.Generator().manual_seed(A.shape[-1])).to(A)


def true_root(A: Tensor, iteration: Coupled = THREE) -> Tensor:
    return iteration.run(A.double())[0]


def true_gradient(A: Tensor, G: Tensor, iteration: Coupled = THREE) -> Tensor:
    return iteration.pull_back(A.double(), iteration.run(A.double())[1:], G.double())


def distance(found: Tensor, truth: Tensor) -> float:
    """The largest relative error of a batch in the Frobenius norm; infinite where something is not finite."""
    error = torch.linalg.matrix_norm(found.double() - truth) / torch.linalg.matrix_norm(truth)
    return float(error.nan_to_num(nan=torch.inf).max())


def far_apart(A: Tensor, strides: tuple[int, int, int]) -> Tensor:
    """A copy of A with these strides, of whose storage only the pages of A are ever touched."""
    fill, torch.utils.deterministic.fill_uninitialized_memory = (
        torch.utils.deterministic.fill_uninitialized_memory,
        False,
    )
    size = sum((length - 1) * stride for length, stride in zip(A.shape, strides, strict=True)) + 1
    storage = torch.empty(size, dtype=A.dtype, device=A.device)
    torch.utils.deterministic.fill_uninitialized_memory = fill
    view = storage.as_strided(A.shape, strides)
    view.copy_(A)
    return view
