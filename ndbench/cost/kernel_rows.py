"""The Triton kernels that could compute a layer: what they multiply, padded tiles included."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from ndbench.cost import kernel_footprints, kernels
from ndbench.cost.footprints import Sides
from ndbench.cost.geometry import NAME, Layer
from ndbench.cost.model import Cost
from ndbench.kernels.covariance.limits import require_sizes
from ndbench.roots.adjoints import ProductForm
from ndbench.roots.adjoints.choice import steps_of

METHODS = ("newton_schulz", "minimax_cubic", "minimax_quintic", "denman_beavers")

Found = tuple[str, Cost, Cost, Callable[[], Sides]]
"""A kernel's name, its products forward and backward, and what takes its footprint."""


def covariances(layer: Layer) -> Iterator[Found]:
    """Those of a contiguous input in float32, multiplied in "ieee".

    Raises:
        ValueError: for sizes that no kernel takes.
    """
    shape, patches, wanted = layer.convolution.shape, layer.patches, layer.convolution.input_gradient
    require_sizes(shape, patches, NAME)
    x = torch.empty(shape, device="meta")
    for name, model in (("im2col", kernels.im2col), ("lagged", kernels.lagged)):
        backward = kernels.covariance_adjoint(x, patches)
        footprint = partial(kernel_footprints.covariance, name, shape, patches, backward=wanted)
        yield f"triton {name}", Cost(total(model(x, patches))), Cost(total(backward)), footprint


def roots(layer: Layer) -> Iterator[Found]:
    """Those of float32 in "ieee", by every method that has kernels."""
    steps, n, batch, wanted = layer.whitening.steps, layer.order, layer.matrices, layer.convolution.input_gradient
    A = torch.empty((batch, n, n), device="meta")
    for method in METHODS:
        footprint = partial(kernel_footprints.root, method, steps, n, batch=batch, backward=wanted)
        yield f"triton {method}", *sides(A, method, steps), footprint


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
