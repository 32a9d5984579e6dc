"""What gradients are asked of: a matrix or an input, and an upstream gradient; frozen, seeded, named."""

import zlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ndbench.covariance_problems import CovarianceProblem
from ndbench.problems import MatrixProblem, Problem


def drawn(name: str, seed: int, *shape: int) -> Tensor:
    """Standard normal numbers in float64, by name and seed."""
    values = np.random.default_rng([seed, zlib.crc32(name.encode()), *shape]).standard_normal(shape)
    return torch.from_numpy(values)


@dataclass(frozen=True)
class RootGradientProblem:
    """The gradient of <G, f(A)> with respect to A for a batch of matrices.

    Attributes:
        matrices: the problem that A comes from.
        symmetric: whether G is.
        seed: of G, and of A where that is random.
    """

    matrices: Problem
    symmetric: bool = True
    seed: int = 0

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        return f"{self._seeded().name}-G{'sym' if self.symmetric else 'any'}{self.seed}"

    @property
    def dtype(self) -> torch.dtype:
        """The type of A and G."""
        return self.matrices.dtype

    @property
    def n(self) -> int:
        """The order."""
        return self.matrices.n

    def A(self) -> Tensor:  # noqa: N802
        """The matrices, (batch, n, n)."""
        return self._seeded().matrices()

    def G(self) -> Tensor:  # noqa: N802
        """The upstream gradients, of A's shape, rounded to its type."""
        batch = len(self.A())
        G = drawn("G", self.seed, batch, self.n, self.n)
        return ((G + G.mT) / 2 if self.symmetric else G).to(self.dtype)

    def _seeded(self) -> Problem:
        if isinstance(self.matrices, MatrixProblem) and self.matrices.random:
            return replace(self.matrices, seed=self.seed)
        return self.matrices


@dataclass(frozen=True)
class CovarianceGradientProblem:
    """The gradient of <g, mean> + <G, cov> with respect to the images of a covariance problem.

    Attributes:
        images: the problem that x comes from.
        symmetric: whether G is.
        seed: of g, G and x.
    """

    images: CovarianceProblem
    symmetric: bool = True
    seed: int = 0

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        return f"{self._seeded().name}-G{'sym' if self.symmetric else 'any'}"

    @property
    def dtype(self) -> torch.dtype:
        """The type of x, g and G."""
        return self.images.dtype

    def x(self) -> Tensor:
        """The images, (N, C, H, W)."""
        return self._seeded().x()

    def arguments(self) -> dict[str, Any]:
        """The keywords of `ndbench.patch_covariance`."""
        return self.images.arguments()

    def upstream(self, shape: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        """The upstream gradients of a mean of this shape and of its covariance."""
        G = drawn("G", self.seed, *shape, shape[-1])
        G = (G + G.mT) / 2 if self.symmetric else G
        return drawn("g", self.seed, *shape).to(self.dtype), G.to(self.dtype)

    def _seeded(self) -> CovarianceProblem:
        return replace(self.images, seed=self.seed)


@lru_cache(maxsize=16)
def matrices(problem: RootGradientProblem) -> tuple[Tensor, Tensor]:
    """A and G of a problem; never handed out without a copy."""
    return problem.A(), problem.G()
