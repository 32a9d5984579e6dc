"""T steps of the product form of the Denman-Beavers iteration, with their adjoint, by Triton kernels."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ndbench.kernels.denman_beavers import inverse_product, sweep, sweep_adjoint, tile_product, tiled
from ndbench.kernels.denman_beavers.tiles import require_order
from ndbench.kernels.precision import require_precision
from ndbench.kernels.runtime import launched_on, require_kernel_input
from ndbench.kernels.variant import Variant
from ndbench.roots.adjoints import ProductForm

NAME = "inverse_sqrt"


@dataclass(frozen=True)
class ProductFormKernels:
    """The steps of `ProductForm` by kernels: sweeps in one launch up to order 64, tiles and Cholesky factors beyond.

    What a step costs most is its inverse, which is computed in float64 whatever the precision is; the precision is that
    of products on tiles. Sweeps multiply in "ieee", since their products are the smallest part.

    Attributes:
        iteration: the steps.
        precision: of float32 products on tiles, "ieee", "tf32x3" or "tf32".
        keep: whether `run` keeps the iterates for the gradient, 3 T matrices for each one. `pull_back` runs the steps
            again if they were not kept.
    """

    iteration: ProductForm
    precision: str
    keep: bool

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """float32 for half types, rounded once, as `ProductForm` does."""
        return self.iteration.computed_in(dtype)

    def run(self, A: Tensor) -> tuple[Tensor, ...]:
        """D; with `keep` also the iterates and mu_k."""
        require_kernel_input(A, NAME)
        require_precision(self.precision, A.dtype, NAME)
        require_order(A.shape[-1], NAME)
        matrices = A.reshape(-1, *A.shape[-2:])
        steps, scaled_steps = self.iteration.steps, self.iteration.scaled_steps
        with launched_on(A):
            if A.shape[-1] <= sweep.LARGEST_ORDER:
                D, *kept = sweep.run(matrices, steps, scaled_steps, keep=self.keep)
            else:
                D, *kept = tiled.run(matrices, steps, scaled_steps, keep=self.keep, precision=self.precision)
        return D.view(A.shape), *kept

    def pull_back(self, A: Tensor, saved: tuple[Tensor, ...], G: Tensor) -> Tensor:
        """The gradient, by reversing the steps."""
        iterates, scales = saved or replace(self, keep=True).run(A)[1:]
        upstream, scaled_steps = G.resolve_neg().reshape(-1, *G.shape[-2:]), self.iteration.scaled_steps
        with launched_on(A):
            if A.shape[-1] <= sweep_adjoint.LARGEST_ORDER:
                return sweep_adjoint.run(upstream, iterates, scales, scaled_steps).view(A.shape)
            return tiled.pull_back(upstream, iterates, scales, scaled_steps, self.precision).view(A.shape)

    def smooth(self) -> ProductForm:
        """The same steps in PyTorch's operations: derivatives of higher order do not run in kernels."""
        return self.iteration.smooth()


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for kernel in (sweep, sweep_adjoint, inverse_product, tile_product):
        yield from kernel.variants()
