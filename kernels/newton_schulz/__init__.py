"""T steps of Newton-Schulz and minimax iterations, with their adjoint, by Triton kernels.

Which kernel serves a matrix depends on its order and type alone, so it gets the same bits in every batch.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.kernels.newton_schulz import scratch, scratch_adjoint, small, small_adjoint, tiled
from ndbench.kernels.newton_schulz.schedule import steps_schedule, tangent_schedule
from ndbench.kernels.precision import require_precision
from ndbench.kernels.runtime import launched_on, require_kernel_input
from ndbench.kernels.tables import kept_on_device
from ndbench.kernels.variant import Variant
from ndbench.roots.adjoints import Coupled
from ndbench.roots.coefficients import Coefficients

NAME = "inverse_sqrt"


@dataclass(frozen=True)
class CoupledKernels:
    """The steps of `Coupled` by kernels, which keep nothing for the gradient.

    Attributes:
        iteration: the steps.
        precision: of float32 products, "ieee", "tf32x3" or "tf32".
    """

    iteration: Coupled
    precision: str

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """Half types use their own products, with sums and iterates in float32."""
        return dtype

    def run(self, A: Tensor) -> tuple[Tensor, ...]:
        """D alone."""
        self._require_served(A)
        with launched_on(A):
            n, matrices = A.shape[-1], _batch(A)
            if n <= small.LARGEST_ORDER:
                D = small.run(matrices, self._table(A), quintic=self._quintic, precision=self.precision)
            else:
                steps = scratch.run if n <= scratch.LARGEST_ORDER else tiled.run
                D = steps(matrices, steps_schedule(self.iteration.coefficients), self.precision)
        return (D.view(A.shape),)

    def pull_back(self, A: Tensor, saved: tuple[Tensor, ...], G: Tensor) -> Tensor:
        """The gradient, symmetric, by the tangent of the steps in direction sym(G)."""
        self._require_served(A)
        with launched_on(A):
            n, matrices, gradients = A.shape[-1], _batch(A), _batch(G.resolve_neg())
            if n <= small.LARGEST_ORDER and small_adjoint.fits(self.precision):
                table = self._table(A)
                dA = small_adjoint.run(matrices, gradients, table, quintic=self._quintic, precision=self.precision)
            else:
                adjoint = scratch_adjoint.run if n <= scratch.LARGEST_ORDER else tiled.pull_back
                tangent = tangent_schedule(self.iteration.coefficients, whole=n <= scratch.LARGEST_TILE)
                dA = adjoint(matrices, gradients, tangent, self.precision)
        return dA.view(A.shape)

    def smooth(self) -> Coupled:
        """The same steps in PyTorch's operations: derivatives of higher order do not run in kernels."""
        return self.iteration.smooth()

    @property
    def _quintic(self) -> bool:
        return any(c != 0 for _, _, c in self.iteration.coefficients)

    def _table(self, A: Tensor) -> Tensor:
        return _table(self.iteration.coefficients, A.device)

    def _require_served(self, A: Tensor) -> None:
        require_kernel_input(A, NAME)
        require_precision(self.precision, A.dtype, NAME)


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for kernels in (small, small_adjoint, scratch, scratch_adjoint, tiled):
        yield from kernels.variants()


def _batch(A: Tensor) -> Tensor:
    """A as (batch, n, n): a view, unless its leading dimensions do not merge."""
    return A.reshape(-1, *A.shape[-2:])


@kept_on_device
def _table(coefficients: tuple[Coefficients, ...], device: torch.device) -> Tensor:
    """The coefficients on the device, (T, 3): copied once, since a copy synchronizes."""
    return torch.tensor(coefficients, dtype=torch.float32, device=device)
