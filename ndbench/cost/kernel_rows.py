"""The Triton kernels that could compute a layer: what they multiply, padded tiles included."""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ndbench.cost import kernels
from ndbench.cost.geometry import Layer
from ndbench.cost.model import Cost
from ndbench.roots.adjoints import ProductForm
from ndbench.roots.adjoints.choice import steps_of

METHODS = ("newton_schulz", "minimax_cubic", "minimax_quintic", "denman_beavers")

Sides = tuple[str, Cost, Cost]
"""A kernel's name, and its products forward and backward."""


def covariances(layer: Layer) -> Iterator[Sides]:
    """Those of a contiguous input in float32, multiplied in "ieee"."""
    x, patches = torch.empty(layer.convolution.shape, device="meta"), layer.patches
    for name, model in (("im2col", kernels.im2col), ("lagged", kernels.lagged)):
        backward = kernels.covariance_adjoint(x, patches)
        yield f"triton {name}", Cost(total(model(x, patches))), Cost(total(backward))


def roots(layer: Layer) -> Iterator[Sides]:
    """Those of float32 in "ieee", by every method that has kernels."""
    A = torch.empty((layer.matrices, layer.order, layer.order), device="meta")
    for method in METHODS:
        yield f"triton {method}", *sides(A, method, layer.whitening.steps)


def sides(A: Tensor, method: str, steps: int) -> tuple[Cost, Cost]:
    """Forward and backward of so many steps."""
    iteration = steps_of(method, steps, 1e-4, steps)
    if isinstance(iteration, ProductForm):
        estimated = kernels.elimination(A, iteration) + kernels.factorization(A, iteration)
        forward, backward = kernels.product_form(A, iteration), kernels.product_form_adjoint(A, iteration)
        return Cost(total(forward), estimated), Cost(total(backward))
    return Cost(total(kernels.coupled(A, iteration))), Cost(total(kernels.coupled_adjoint(A, iteration)))


def total(launches: Sequence[kernels.Executed]) -> int:
    """Flops of all launches."""
    return sum(flops for _, flops in launches)
