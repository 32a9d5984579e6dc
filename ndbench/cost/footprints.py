"""Footprints of every algorithm of a layer in PyTorch, in float32 on a CPU: run on shapes alone.

Forward and backward are what the flops of `ndbench.cost.covariance`, `roots` and `layer` are counted of. What numpy and
scipy do is no operator of PyTorch.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from ndbench.cost.footprint import Footprint, footprint, observed, shapes_alone
from ndbench.cost.geometry import Convolution, Layer
from ndbench.cost.sheet import megabytes
from ndbench.covariance import im2col, lagged, shifted
from ndbench.covariance.adjoint_pixels import lagged_adjoint, shifted_adjoint
from ndbench.covariance.choice import fastest
from ndbench.covariance.im2col import im2col_adjoint
from ndbench.covariance.patches import Patches
from ndbench.covariance.work import Shape
from ndbench.layers import Deconv2d
from ndbench.operations import inverse_sqrt
from ndbench.operations.layer import folded

Sides = tuple[Footprint, Footprint | None]
"""Of forward, with what it keeps for a gradient, and of backward, beside what it finds, if it is asked for."""

FOOTPRINT = ("MB moved", "MB held", "backward MB held")
"""Columns of a table."""

MEANING_OF_FOOTPRINTS = (
    "moved: what PyTorch's operators read and write, and kernels load and store, forward and backward; held: the most"
    " at once, of what is allocated; equal to those of a run"
)

COVARIANCES = {
    "im2col": (im2col, im2col_adjoint),
    "buffered": (im2col, im2col_adjoint),
    "shifted": (shifted, shifted_adjoint),
    "lagged": (lagged, lagged_adjoint),
}
"""Of each algorithm the functions both ways; "im2col" is recorded."""


@lru_cache(maxsize=128)
def covariance(algorithm: str, shape: Shape, patches: Patches, *, backward: bool = True) -> Sides:
    """Of one of `COVARIANCES`.

    Args:
        algorithm: its name.
        shape: of the input, (N, C, H, W).
        patches: which patches, and their blocks.
        backward: whether to run its adjoint too.
    """
    forward, adjoint = COVARIANCES[algorithm]
    with shapes_alone():
        x = torch.empty(shape, requires_grad=algorithm == "im2col")
        moments, found = observed(partial(forward, x, patches))
        if not backward:
            return found, None
        mean, cov = (moment.detach() for moment in moments)
        return found, footprint(partial(adjoint, x, mean, torch.empty_like(mean), torch.empty_like(cov), patches))


@lru_cache(maxsize=128)
def root(method: str, adjoint: str, steps: int, n: int, *, batch: int = 1, backward: bool = True) -> Sides:
    """Of `ndbench.inverse_sqrt`, without its checks of values.

    Args:
        method: of the root, not SciPy's, as are the next two.
        adjoint: how it is differentiated.
        steps: T.
        n: order of the matrices.
        batch: how many.
        backward: whether its gradient is asked for.
    """

    def prepare() -> tuple[Callable[[], Any], list[Tensor]]:
        A = torch.empty((batch, n, n), requires_grad=backward)
        return partial(inverse_sqrt, A, method=method, adjoint=adjoint, steps=steps, check=False), [A]

    return sides(prepare)


def folding(layer: Layer) -> Sides:
    """Of mean and D into the weight."""

    def prepare() -> tuple[Callable[[], Any], list[Tensor]]:
        conv, wanted = layer.convolution, layer.convolution.input_gradient
        weight = torch.empty((conv.outputs, conv.shape[1] // conv.groups, *conv.kernel_size), requires_grad=True)
        matrices = () if layer.patches.pooled else (layer.matrices,)
        mean, D = (torch.empty((*matrices, *[layer.order] * axes), requires_grad=wanted) for axes in (1, 2))
        function = partial(folded, weight, None, mean, D, layer.whitening.grouping)
        return function, [weight, *([mean, D] if wanted else [])]

    return sides(prepare)


def convolution(of: Convolution) -> Sides:
    """Of the convolution alone, without bias."""

    def prepare() -> tuple[Callable[[], Any], list[Tensor]]:
        x = torch.empty(of.shape, requires_grad=of.input_gradient)
        weight = torch.empty((of.outputs, of.shape[1] // of.groups, *of.kernel_size), requires_grad=True)
        function = partial(functional.conv2d, x, weight, None, of.stride, of.padding, of.dilation, of.groups)
        return function, [weight, *([x] if of.input_gradient else [])]

    return sides(prepare)


def whole_if_seen(layer: Layer) -> Sides | None:
    """Of the whole layer, or nothing where SciPy computes a part of it."""
    # equal layers of other names are counted once
    return None if layer.whitening.method.startswith("scipy") else whole(replace(layer, name=""))


@lru_cache(maxsize=128)
def whole(layer: Layer) -> Sides:
    """Of `ndbench.layers.Deconv2d` in training, with its averages and checks and without bias."""
    conv = layer.convolution
    # it is chosen once, by models that count nothing here
    fastest(conv.shape, layer.patches)

    def prepare() -> tuple[Callable[[], Any], list[Tensor]]:
        module = deconvolution(layer, bias=False)
        x = torch.empty(conv.shape, requires_grad=conv.input_gradient)
        return partial(module, x), [module.weight, *([x] if conv.input_gradient else [])]

    return sides(prepare)


def deconvolution(layer: Layer, **options: Any) -> Deconv2d:
    """The layer as a module; options are its own others."""
    conv, how = layer.convolution, layer.whitening
    return Deconv2d(
        conv.shape[1],
        conv.outputs,
        conv.kernel_size,
        conv.stride,
        conv.padding,
        conv.dilation,
        conv.groups,
        block=how.block,
        sampling_stride=how.sampling,
        method=how.method,
        steps=how.steps,
        grouping=how.grouping,
        **options,
    )


def sides(prepare: Callable[[], tuple[Callable[[], Any], list[Tensor]]]) -> Sides:
    """Of a function and its gradient with respect to some tensors, if one of them asks for it."""
    with shapes_alone():
        function, leaves = prepare()
        answer, forward = observed(function)
        if not leaves[0].requires_grad:
            return forward, None
        answers = answer if isinstance(answer, tuple) else (answer,)
        upstream = [torch.empty_like(one) for one in answers]
        return forward, footprint(lambda: torch.autograd.grad(answers, leaves, upstream))


def footprint_cells(taken: Sides | None) -> list[str]:
    """What is moved both ways together, and held each way: the cells of `FOOTPRINT`."""
    if taken is None:
        return ["·"] * len(FOOTPRINT)
    forward, backward = taken
    moved = forward.moved + (backward.moved if backward else 0)
    return [megabytes(moved), megabytes(forward.held), megabytes(backward.held) if backward else "·"]
