"""Covariances: what is asked, what was answered, and what is true, computed once for all checks of a problem."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.covariance_problems import CovarianceProblem
from ndbench.problems import dtype_name
from ndbench.verify import covariance_budgets as budgets
from ndbench.verify.answers import BrokenPromise
from ndbench.verify.covariance_budgets import Scales
from ndbench.verify.oracles.covariance import patch_matrices, truth

Array = NDArray[np.float64]
Arguments = Mapping[str, Any]


@dataclass(frozen=True, eq=False)
class Answer:
    """Mean (G, F) and covariance (G, F, F) in float64; G is 1 where the blocks are pooled."""

    mean: Array
    cov: Array


@dataclass(frozen=True, eq=False)
class Truths:
    """The true mean (G, F) and covariance (G, F, F), and what is allowed.

    Attributes:
        mean: in float64 or longdouble.
        cov: likewise.
        scales: sizes by which errors are measured.
        mean_budget: for each entry of the mean.
        dtype: of the images.
        error: of the truth, as a multiple of the spread.
        source: the oracle.
    """

    mean: NDArray[np.floating[Any]]
    cov: NDArray[np.floating[Any]]
    scales: Scales
    mean_budget: Array
    dtype: torch.dtype
    error: float
    source: str

    def budget(self, implementation: Implementation) -> Array:
        """For each entry of the covariance, by an implementation that multiplies as this one does."""
        v = product_roundoff(implementation, self.dtype)
        return budgets.covariance(self.dtype, self.cov.astype(np.float64), self.scales, v)


@lru_cache(maxsize=16)
def question(problem: CovarianceProblem) -> Tensor:
    """The images of a problem; never handed out without a copy."""
    return problem.x()


@lru_cache(maxsize=16)
def answer(implementation: Implementation, problem: CovarianceProblem) -> Answer:
    """The answer to a problem."""
    return respond(implementation, question(problem), problem.arguments())


def respond(implementation: Implementation, x: Tensor, arguments: Arguments) -> Answer:
    """The implementation's answer to a copy of x."""
    return read(call(implementation, x.to(implementation.place, copy=True), arguments), x, arguments)


def call(implementation: Implementation, x: Tensor, arguments: Arguments) -> Any:
    """What the implementation returns for x itself."""
    rest = dict(arguments)
    return implementation.function(x, rest.pop("kernel_size"), **rest)


def read(returned: Any, x: Tensor, arguments: Arguments) -> Answer:
    """Mean and covariance in float64 on the CPU, with a dimension of groups.

    Raises:
        BrokenPromise: if they are not tensors of the shapes and the type that the operation promises.
    """
    groups, F = shape_of(x, arguments)
    lead = () if arguments["pooled"] else (groups,)
    mean, cov = returned
    for name, tensor, shape in (("mean", mean, (*lead, F)), ("covariance", cov, (*lead, F, F))):
        if not isinstance(tensor, Tensor) or tensor.shape != shape or tensor.dtype != x.dtype:
            got = f"{tuple(tensor.shape)} {tensor.dtype}" if isinstance(tensor, Tensor) else type(tensor).__name__
            raise BrokenPromise(f"the {name} must be a tensor {shape} {x.dtype}; got {got}")
    mean, cov = (tensor.detach().to("cpu", torch.float64).numpy() for tensor in (mean, cov))
    return Answer(mean.reshape(-1, F), cov.reshape(-1, F, F))


def shape_of(x: Tensor, arguments: Arguments) -> tuple[int, int]:
    """The number of groups, and F."""
    kernel, C = arguments["kernel_size"], x.shape[1]
    offsets = kernel**2 if isinstance(kernel, int) else kernel[0] * kernel[1]
    block = arguments["block"] or C
    return C // block, block * offsets


@lru_cache(maxsize=16)
def truths(problem: CovarianceProblem) -> Truths:
    """Truth for the rounded images of a problem."""
    return true_values(question(problem), problem.arguments())


def product_roundoff(implementation: Implementation, dtype: torch.dtype) -> float:
    """The unit roundoff of an implementation's products: half types are multiplied in float32."""
    return implementation.unit_roundoff(torch.promote_types(dtype, torch.float32))


def true_values(x: Tensor, arguments: Arguments) -> Truths:
    """Truth for images (N, C, H, W), from the strongest oracle that their values allow."""
    geometry = dict(arguments)
    eps = geometry.pop("eps")
    images = x.to("cpu", torch.float64).numpy()
    found = [truth(rows, dtype_name(x.dtype), eps) for rows in patch_matrices(images, **geometry)]
    scales = Scales.of(images, geometry)
    mean, cov = np.stack([t.mean for t in found]), np.stack([t.cov for t in found])
    return Truths(
        mean=mean,
        cov=cov,
        scales=scales,
        mean_budget=budgets.mean(x.dtype, mean.astype(np.float64), scales),
        dtype=x.dtype,
        error=max(t.error for t in found),
        source=found[0].source,
    )
