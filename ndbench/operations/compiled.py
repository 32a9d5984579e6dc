"""Mean and covariance as one node of a compiled graph, since their plan of products is made in Python."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.operations.covariance import Way, adjoint_of, moments

AUTO = Way("auto", "auto", "auto", None)


def moments_in_graphs(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """`moments` by the algorithm that "auto" chooses, for torch.compile and torch.export without a break.

    Args:
        x: input, shape (N, C, H, W), not checked.
        patches: which patches, and their blocks.

    Returns:
        mean (F,) or (G, F) and covariance (F, F) or (G, F, F), in float32 or better; once differentiable.
    """
    geometry = [*patches.kernel_size, *patches.stride, *patches.padding, *patches.dilation]
    block = x.shape[1] if patches.block is None else patches.block
    mean, cov = patch_moments(x, geometry, block, patches.pooled, patches.grouping)
    return mean, cov


def _patches(geometry: Sequence[int], block: int, pooled: bool, grouping: str) -> Patches:
    """The patches from what an operator may have as arguments; geometry is kernel, stride, padding, dilation."""
    kernel_size, stride, padding, dilation = (geometry[i : i + 2] for i in range(0, 8, 2))
    return Patches.of(
        kernel_size, stride=stride, padding=padding, dilation=dilation, block=block, pooled=pooled, grouping=grouping
    )


@torch.library.custom_op("ndbench::patch_moments", mutates_args=())
def patch_moments(x: Tensor, geometry: Sequence[int], block: int, pooled: bool, grouping: str) -> tuple[Tensor, Tensor]:
    """Mean and covariance."""
    mean, cov = moments(x, _patches(geometry, block, pooled, grouping), AUTO)
    return mean.contiguous(), cov.contiguous()


@patch_moments.register_fake
def _(x: Tensor, geometry: Sequence[int], block: int, pooled: bool, grouping: str) -> tuple[Tensor, Tensor]:
    F = block * geometry[0] * geometry[1]
    leading = () if pooled else (x.shape[1] // block,)
    dtype = torch.promote_types(x.dtype, torch.float32)
    return x.new_empty((*leading, F), dtype=dtype), x.new_empty((*leading, F, F), dtype=dtype)


@torch.library.custom_op("ndbench::patch_moments_adjoint", mutates_args=())
def patch_moments_adjoint(
    x: Tensor,
    statistics: Sequence[Tensor],
    geometry: Sequence[int],
    block: int,
    pooled: bool,
    grouping: str,
) -> Tensor:
    """The gradient with respect to x, from the mean and the gradients of mean and covariance."""
    mean, dmean, dcov = statistics
    gradient = adjoint_of(x, mean, dmean, dcov, _patches(geometry, block, pooled, grouping), AUTO)
    return gradient.clone(memory_format=torch.contiguous_format)


@patch_moments_adjoint.register_fake
def _(x: Tensor, *rest: Any) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, *ctx.patches = inputs
    ctx.save_for_backward(x, output[0])


def _backward(ctx: Any, dmean: Tensor, dcov: Tensor) -> tuple[Tensor | None, ...]:
    x, mean = ctx.saved_tensors
    return patch_moments_adjoint(x, [mean, dmean, dcov], *ctx.patches), *(None for _ in ctx.patches)


patch_moments.register_autograd(_backward, setup_context=_keep)
