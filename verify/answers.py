"""What is asked, what was answered, and what is true: computed once for all checks of a problem."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.problems import Problem
from ndbench.targets import Target
from ndbench.verify.oracles import truth

FLOAT64_SUFFICES = 1e8
"""Condition up to which a float64 eigendecomposition grades float32: its own error is near u_64 kappa / 2."""


class BrokenPromise(Exception):
    """The answer is not a tensor of the shape and type that the operation promises."""


@dataclass(frozen=True)
class Truths:
    """Truth for a batch of matrices.

    Attributes:
        value: shape (batch, n, n), float64.
        relative_error: of each value, in the Frobenius norm.
        eigenvalues: of the matrices, shape (batch, n), ascending.
        source: the oracle.
    """

    value: NDArray[np.float64]
    relative_error: NDArray[np.float64]
    eigenvalues: NDArray[np.float64]
    source: str

    @property
    def kappa(self) -> NDArray[np.float64]:
        """Condition numbers kappa_2, shape (batch,)."""
        smallest, largest = self.eigenvalues[:, 0], self.eigenvalues[:, -1]
        condition: NDArray[np.float64] = np.divide(
            largest, smallest, out=np.full_like(largest, np.inf), where=smallest > 0
        )
        return condition


@lru_cache(maxsize=16)
def question(problem: Problem) -> Tensor:
    """The matrices of a problem; never handed out without a copy."""
    return problem.matrices()


@lru_cache(maxsize=16)
def answer(implementation: Implementation, problem: Problem) -> NDArray[np.float64]:
    """The answer to a problem in float64, shape (batch, n, n)."""
    return respond(implementation, question(problem))


def respond(implementation: Implementation, A: Tensor) -> NDArray[np.float64]:
    """The implementation's answer to a copy of A, in float64.

    Raises:
        BrokenPromise: if it is not a tensor of A's shape and type.
    """
    D = implementation.function(A.to(implementation.place, copy=True))
    if not isinstance(D, Tensor) or D.shape != A.shape or D.dtype != A.dtype:
        got = f"{tuple(D.shape)} {D.dtype}" if isinstance(D, Tensor) else type(D).__name__
        raise BrokenPromise(f"the answer must be a tensor {tuple(A.shape)} {A.dtype}; got {got}")
    return D.detach().to("cpu", torch.float64).numpy()


@lru_cache(maxsize=64)
def truths(problem: Problem, target: Target) -> Truths:
    """Truth for the rounded matrices of a problem; certified where float64 arithmetic is too coarse a judge."""
    return true_values(question(problem), target)


def true_values(A: Tensor, target: Target) -> Truths:
    """Truth for a batch of matrices, shape (batch, n, n)."""
    exact = A.to(torch.float64).numpy()
    precision = "certified" if A.dtype == torch.float64 else "float64"
    found = [truth(matrix, target, precision=precision) for matrix in exact]
    if any(t.eigenvalues[-1] > FLOAT64_SUFFICES * t.eigenvalues[0] for t in found):
        found = [truth(matrix, target, precision="certified") for matrix in exact]
    return Truths(
        value=np.stack([t.value for t in found]),
        relative_error=np.array([t.relative_error for t in found]),
        eigenvalues=np.stack([t.eigenvalues for t in found]),
        source=found[0].source,
    )
