"""Values and gradients of kernels at sizes that fill a GPU, where other configurations of them are launched.

Beyond order 576 tiles have 64 rows, and so have those of Denman-Beavers for many matrices. For orders 33 to 128 a
program takes one matrix after the other, in the same scratch, where there are more of them than programs. Classes of
more than 16 channels have larger tiles, and images of thousands of pixels several partial sums.
"""

from dataclasses import dataclass
from itertools import product

import torch
from torch import Tensor, bfloat16, float16, float32

from ndbench.catalog import Implementation
from ndbench.covariance_problems import CovarianceProblem
from ndbench.problems import MatrixProblem
from ndbench.verify import covariance_invariants, values
from ndbench.verify.answers import respond
from ndbench.verify.check import Measurement
from ndbench.verify.gradients import covariance, roots
from ndbench.verify.gradients.differentiation import gradient
from ndbench.verify.gradients.problems import CovarianceGradientProblem, RootGradientProblem, matrices

TYPES = (float32, float16, bfloat16)
TIMES = 60


@dataclass(frozen=True)
class RepeatedProblem:
    """The matrices of a problem over and over: a batch whose truth costs what that of a few matrices does.

    A persistent grid has two programs for each multiprocessor, at most 376 on NVIDIA's devices. 7 matrices divide none
    of the numbers there are (216, 228, 264, 284, 296, 320, 376), so the next matrix of a program is another one.

    Attributes:
        few: the matrices.
        times: how often they come.
    """

    few: MatrixProblem
    times: int = TIMES

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        return f"{self.few.name}-x{self.times}"

    @property
    def dtype(self) -> torch.dtype:
        """The type of the matrices."""
        return self.few.dtype

    @property
    def n(self) -> int:
        """The order."""
        return self.few.n

    @property
    def batch(self) -> int:
        """The number of matrices."""
        return self.few.batch * self.times

    def matrices(self) -> Tensor:
        """The batch, shape (batch, n, n)."""
        return self.repeated(self.few.matrices())

    def repeated(self, X: Tensor) -> Tensor:
        """So many times X, which belongs to the few."""
        return X.repeat(self.times, 1, 1)


Matrices = MatrixProblem | RepeatedProblem


def value(implementation: Implementation, problem: Matrices) -> Measurement:
    """The budget of `values.steps`, for every matrix."""
    if isinstance(problem, MatrixProblem):
        return values.steps(implementation, problem)
    true = values.judgeable_truths(implementation, problem.few)
    X = respond(implementation, problem.matrices()).reshape(problem.times, *true.value.shape)
    return values.compare(X, true, values.allowed(implementation, problem.dtype, true))


def root_gradient(implementation: Implementation, problem: Matrices) -> Measurement:
    """The budget of `gradients.roots.closed_form`, for every matrix, with a G that is not symmetric."""
    if isinstance(problem, MatrixProblem):
        return roots.closed_form(implementation, RootGradientProblem(problem, symmetric=False))
    few = RootGradientProblem(problem.few, symmetric=False)
    true = roots.judgeable(implementation, few)
    A, G = (problem.repeated(tensor) for tensor in matrices(few))
    g = gradient(implementation.function, A, [G], implementation.place).numpy()
    return roots.compare(g.reshape(problem.times, *true.general.shape), implementation, few, true)


patch_covariance = covariance_invariants.strides
"""Of values the check of layouts of memory: kernels differ by them."""


def covariance_gradient(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """The same of gradients: `gradients.covariance.strides`, with a G that is not symmetric."""
    return covariance.strides(implementation, CovarianceGradientProblem(problem, symmetric=False))


def _many(n: int, dtype: torch.dtype) -> RepeatedProblem:
    # from 2^-4 to 2^8, for gradients beyond underflow to float16
    return RepeatedProblem(MatrixProblem("geometric", n, 10.0, batch=7, dtype=dtype, exponent=-4))


def _one(n: int, dtype: torch.dtype = float32) -> MatrixProblem:
    return MatrixProblem("geometric", n, 10.0, batch=1, dtype=dtype)


MATRICES: tuple[Matrices, ...] = (
    *(_many(n, dtype) for n, dtype in product((40, 100), TYPES)),
    *(_one(600, dtype) for dtype in TYPES),
    _one(1152),
)
"""Of condition 10, as those of every order: 420 matrices of one program each, and one of many tiles."""


def _images(dtype: torch.dtype) -> tuple[CovarianceProblem, ...]:
    """Classes of a channel to more than a tile of them, with few partial sums and with many."""
    # 20 channels are vectors of 4 in float32, and none of 8 in 16-bit types
    other = 22 if dtype == float32 else 24
    return (
        CovarianceProblem(12, 4, 9, 8, 3, padding=1, block=2, grouping="interleaved", dtype=dtype),
        CovarianceProblem(2, 32, 30, 29, 2, padding=1, block=16, dtype=dtype),
        CovarianceProblem(3, 40, 40, 39, 2, padding=1, block=20, pooled=False, dtype=dtype),
        CovarianceProblem(2, 2 * other, 30, 29, 2, padding=1, block=other, dtype=dtype),
        CovarianceProblem(3, 40, 40, 39, 2, padding=1, block=40, dtype=dtype),
        CovarianceProblem(3, 70, 40, 39, 2, padding=1, block=70, dtype=dtype),
    )


IMAGES = (
    CovarianceProblem(3, 4, 40, 39, 3, block=2, grouping="interleaved"),
    *(problem for dtype in TYPES for problem in _images(dtype)),
)
