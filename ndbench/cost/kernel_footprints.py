"""Footprints of Triton kernels in float32, multiplied in "ieee": on shapes alone, for a GPU of many multiprocessors.

Moved is what launches load and store, lane by lane and without caches (`ndbench.cost.kernel_traffic`), and what
PyTorch's operators move between them; held is what a call allocates beside its input and the tables that are made once
for each shape.
"""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import torch

from ndbench.cost import kernel_traffic as traffic
from ndbench.cost import kernel_traffic_roots as traffic_of_roots
from ndbench.cost.footprint import Footprint
from ndbench.cost.footprints import Sides
from ndbench.cost.launches import beside_launches, kept_from_running
from ndbench.covariance.patches import Patches
from ndbench.covariance.work import Shape
from ndbench.kernels.covariance import ALGORITHMS
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.denman_beavers import ProductFormKernels
from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.roots.adjoints import ProductForm
from ndbench.roots.adjoints.choice import steps_of

PRECISION = "ieee"
MOVED = {"im2col": traffic.im2col, "lagged": traffic.lagged}


def covariance(algorithm: str, shape: Shape, patches: Patches, *, backward: bool = True) -> Sides:
    """Of the mean and covariance of a contiguous input.

    Args:
        algorithm: "im2col" or "lagged".
        shape: of the input, (N, C, H, W).
        patches: which patches, and their blocks.
        backward: whether the gradient is asked for.
    """
    x = torch.empty(shape, device="meta")
    call = partial(ALGORITHMS[algorithm], x, patches, PRECISION)
    forward = taken(call, MOVED[algorithm](x, patches))
    if not backward:
        return forward, None
    with kept_from_running():
        mean, cov = call()
    gradient = partial(adjoint, x, mean, mean, cov, patches, precision=PRECISION)
    return forward, taken(gradient, traffic.covariance_adjoint(x, patches))


def root(method: str, steps: int, n: int, *, batch: int = 1, backward: bool = True) -> Sides:
    """Of so many steps of a method that has kernels, with what forward keeps if the gradient is asked for.

    Args:
        method: of the root.
        steps: T.
        n: order of the matrices.
        batch: how many.
        backward: whether the gradient is asked for.
    """
    A, iteration = torch.empty((batch, n, n), device="meta"), steps_of(method, steps, 1e-4, steps)
    if isinstance(iteration, ProductForm):
        kernels: ProductFormKernels | CoupledKernels = ProductFormKernels(iteration, PRECISION, keep=backward)
        moved = traffic_of_roots.product_form(A, iteration, keep=backward)
        moved_back = traffic_of_roots.product_form_adjoint(A, iteration)
    else:
        kernels = CoupledKernels(iteration, PRECISION)
        moved, moved_back = traffic_of_roots.coupled(A, iteration), traffic_of_roots.coupled_adjoint(A, iteration)
    forward = taken(partial(kernels.run, A), moved)
    if not backward:
        return forward, None
    with kept_from_running():
        _, *kept = kernels.run(A)
    return forward, taken(partial(kernels.pull_back, A, tuple(kept), A), moved_back)


def taken(function: Callable[[], Any], launches: Iterable[traffic.Moved]) -> Footprint:
    """Of a call with these launches."""
    beside = beside_launches(function)
    return Footprint(beside.moved + sum(launch.loaded + launch.stored for launch in launches), beside.held)
