"""Mean and covariance with hand-written derivatives."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.derivatives import smooth_call

Algorithm = Callable[[Tensor, Patches], tuple[Tensor, Tensor]]
Adjoint = Callable[[Tensor, Tensor, Tensor, Tensor, Patches], Tensor]


def differentiated(x: Tensor, patches: Patches, algorithm: Algorithm, adjoint: Adjoint) -> tuple[Tensor, Tensor]:
    """The algorithm's mean and covariance, with the adjoint as gradient and :func:`tangent` as forward mode.

    Only x and the mean are kept for the gradient. Adjoints and algorithms consist of differentiable operations, so
    derivatives of derivatives pass through both.

    Args:
        x: input, shape (N, C, H, W).
        patches: which patches, and their blocks.
        algorithm: computes mean and covariance.
        adjoint: computes the gradient with respect to x from x, the mean, and the gradients of mean and covariance.

    Returns:
        mean and covariance, as the algorithm returns them.

    Example:
        >>> import torch
        >>> from ndbench.covariance import Patches, im2col
        >>> from ndbench.covariance.im2col import im2col_adjoint
        >>> x = torch.tensor([[[[1.0, 3.0, 5.0]]]], requires_grad=True)
        >>> _, cov = differentiated(x, Patches.of(1), im2col, im2col_adjoint)
        >>> cov.backward(torch.ones(1, 1))  # 2 (x - mean) / M
        >>> x.grad
        tensor([[[[-1.3333,  0.0000,  1.3333]]]])
    """
    mean, cov = Differentiated.apply(x, patches, algorithm, adjoint)  # type: ignore[no-untyped-call]
    return mean, cov


class Differentiated(torch.autograd.Function):
    """The function behind :func:`differentiated`."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, patches: Patches, algorithm: Algorithm, adjoint: Adjoint) -> tuple[Tensor, Tensor]:
        """The algorithm's mean and covariance."""
        return algorithm(x, patches)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep what the derivatives need."""
        x, ctx.patches, ctx.algorithm, ctx.adjoint = inputs
        ctx.save_for_backward(x, output[0])
        # the same for both: maps over a batch remember the dimensions of whichever is saved last
        ctx.save_for_forward(x, output[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient with respect to x."""
        x, mean = ctx.saved_tensors
        return ctx.adjoint(x, mean, *gradients, ctx.patches), None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor]:
        """The derivative in the direction of x's tangent."""
        x, _ = ctx.saved_tensors
        mean, cov = smooth_call(partial(tangent, patches=ctx.patches, algorithm=ctx.algorithm), x, tangents[0])
        return mean, cov


def tangent(x: Tensor, dx: Tensor, patches: Patches, algorithm: Algorithm) -> tuple[Tensor, Tensor]:
    """The derivative of mean and covariance in the direction dx.

    With X~ and dX~ the centered patches of x and dx,

        dmean = 1^T dX / M,    dcov = (X~^T dX~ + dX~^T X~) / M,

    and X~^T dX~ / M is a block of the covariance of patches that hold both x and dx as channels, so every algorithm
    computes its own derivative, at four times its flops.

    Args:
        x: input, shape (N, C, H, W).
        dx: direction, of x's shape.
        patches: which patches, and their blocks.
        algorithm: computes mean and covariance of both.

    Returns:
        dmean (F,) and dcov (F, F), or (G, F) and (G, F, F), as the algorithm returns mean and covariance.
    """
    block = 2 * (patches.block or x.shape[1])
    mean, cov = algorithm(side_by_side(x, dx, patches), replace(patches, block=block))
    F = mean.shape[-1] // 2
    cross = cov[..., :F, F:]
    # forward mode refuses a tangent that is a view
    return mean[..., F:].clone(), cross + cross.mT


def side_by_side(x: Tensor, dx: Tensor, patches: Patches) -> Tensor:
    """Channels of both such that the columns of x come first in each group, then those of dx."""
    images, channels, height, width = x.shape
    # interleaved columns of dx begin at C K, a multiple of the groups, so that they fall into the groups of x
    groups = patches.groups(channels) if patches.grouping == "channel" else 1
    blocks = (part.reshape(images, groups, channels // groups, height, width) for part in (x, dx))
    return torch.cat(tuple(blocks), 2).flatten(1, 2)
