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
    mean, cov = patch_moments(x, *_flat(patches, x.shape[1]))
    return mean, cov


def _flat(patches: Patches, channels: int) -> tuple[Any, ...]:
    """The fields of the patches in types that an operator may have."""
    block = channels if patches.block is None else patches.block
    geometry = (patches.kernel_size, patches.stride, patches.padding, patches.dilation)
    return (*map(list, geometry), block, patches.pooled, patches.grouping)


def _patches(
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    block: int,
    pooled: bool,
    grouping: str,
) -> Patches:
    return Patches.of(
        kernel_size, stride=stride, padding=padding, dilation=dilation, block=block, pooled=pooled, grouping=grouping
    )


@torch.library.custom_op("ndbench::patch_moments", mutates_args=())
def patch_moments(
    x: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    block: int,
    pooled: bool,
    grouping: str,
) -> tuple[Tensor, Tensor]:
    """Mean and covariance."""
    mean, cov = moments(x, _patches(kernel_size, stride, padding, dilation, block, pooled, grouping), AUTO)
    return mean.contiguous(), cov.contiguous()


@patch_moments.register_fake
def _(x: Tensor, kernel_size: Sequence[int], *rest: Any) -> tuple[Tensor, Tensor]:
    block, pooled = rest[3], rest[4]
    F = block * kernel_size[0] * kernel_size[1]
    leading = () if pooled else (x.shape[1] // block,)
    dtype = torch.promote_types(x.dtype, torch.float32)
    return x.new_empty((*leading, F), dtype=dtype), x.new_empty((*leading, F, F), dtype=dtype)


@torch.library.custom_op("ndbench::patch_moments_adjoint", mutates_args=())
def patch_moments_adjoint(
    x: Tensor,
    mean: Tensor,
    dmean: Tensor,
    dcov: Tensor,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    block: int,
    pooled: bool,
    grouping: str,
) -> Tensor:
    """The gradient with respect to x."""
    patches = _patches(kernel_size, stride, padding, dilation, block, pooled, grouping)
    return adjoint_of(x, mean, dmean, dcov, patches, AUTO).clone(memory_format=torch.contiguous_format)


@patch_moments_adjoint.register_fake
def _(x: Tensor, *rest: Any) -> Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


def _keep(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
    x, *ctx.flat = inputs
    ctx.save_for_backward(x, output[0])


def _backward(ctx: Any, dmean: Tensor, dcov: Tensor) -> tuple[Tensor | None, ...]:
    x, mean = ctx.saved_tensors
    return patch_moments_adjoint(x, mean, dmean, dcov, *ctx.flat), *(None for _ in ctx.flat)


patch_moments.register_autograd(_backward, setup_context=_keep)
