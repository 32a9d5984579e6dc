"""T steps of Newton-Schulz and minimax iterations, with their adjoint, by Triton kernels."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ndbench.kernels.newton_schulz import small
from ndbench.kernels.precision import require_precision
from ndbench.kernels.runtime import require_kernel_input
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
        """Half types use their own products, with sums in float32."""
        return dtype

    def run(self, A: Tensor) -> tuple[Tensor, ...]:
        """D alone."""
        require_kernel_input(A, NAME)
        require_precision(self.precision, A.dtype, NAME)
        if A.shape[-1] > small.LARGEST_ORDER:
            raise NotImplementedError(
                f"{NAME}: the kernels serve orders up to {small.LARGEST_ORDER}; got {A.shape[-1]}"
            )
        coefficients, quintic = _table(self.iteration.coefficients, A.device), _quintic(self.iteration)
        D = small.run(A.reshape(-1, *A.shape[-2:]), coefficients, quintic=quintic, precision=self.precision)
        return (D.view(A.shape),)

    def pull_back(self, A: Tensor, saved: tuple[Tensor, ...], G: Tensor) -> Tensor:
        """The gradient."""
        raise NotImplementedError("inverse_sqrt: the kernels have no adjoint yet")

    def smooth(self) -> Coupled:
        """The same steps in PyTorch's operations: derivatives of higher order do not run in kernels."""
        return self.iteration.smooth()


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    yield from small.variants()


def _quintic(iteration: Coupled) -> bool:
    return any(c != 0 for _, _, c in iteration.coefficients)


@lru_cache(maxsize=64)
def _table(coefficients: tuple[Coefficients, ...], device: torch.device) -> Tensor:
    """The coefficients on the device, (T, 3): copied once, since a copy synchronizes."""
    return torch.tensor(coefficients, dtype=torch.float32, device=device)
