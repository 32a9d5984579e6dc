"""Functions whose derivatives of every order and in both modes come from the operations they are made of."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

TensorMap = Callable[..., tuple[Tensor, ...]]


def smooth_call(function: TensorMap, *arguments: Tensor) -> tuple[Tensor, ...]:
    """function(*arguments), for use in the derivatives of an autograd function.

    What such a derivative computes by plain operations is lost to the next level of forward mode (PyTorch issue
    197867), without an error; calls of autograd functions are not.
    """
    call: Any = _Smooth
    values: tuple[Tensor, ...] = call.apply(function, *arguments)
    return values


def transposed(function: TensorMap, count: int) -> TensorMap:
    """(*x, *g) -> J^T g, J the Jacobian at the `count` tensors x and g like the values of the function."""

    def pull_back(*arguments: Tensor) -> tuple[Tensor, ...]:
        pull = torch.func.vjp(function, *arguments[:count])[1]
        gradients: tuple[Tensor, ...] = pull(arguments[count:])
        return gradients

    return pull_back


def directional(function: TensorMap, count: int) -> TensorMap:
    """(*x, *t) -> J t, as the gradient of the linear map g -> J^T g: forward mode does not nest in eager mode."""

    def push_forward(*arguments: Tensor) -> tuple[Tensor, ...]:
        values, pull = torch.func.vjp(function, *arguments[:count])[:2]
        zeros = [torch.zeros_like(value) for value in values]
        push = torch.func.vjp(lambda *g: pull(g), *zeros)[1]
        tangents: tuple[Tensor, ...] = push(arguments[count:])
        return tangents

    return push_forward


def zeros_for_none(values: Sequence[Tensor], tangents: Sequence[Tensor | None]) -> list[Tensor]:
    """The tangents of `values`, None meaning zero."""
    return [torch.zeros_like(x) if t is None else t for x, t in zip(values, tangents, strict=True)]


class _Smooth(Function):
    """(function, *x) -> function(*x)."""

    generate_vmap_rule = True

    @staticmethod
    def forward(function: TensorMap, *x: Tensor) -> tuple[Tensor, ...]:
        return function(*x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        ctx.function, *x = inputs
        ctx.save_for_backward(*x)
        ctx.save_for_forward(*x)

    @staticmethod
    def backward(ctx: Any, *G: Tensor) -> tuple[Tensor | None, ...]:
        x = ctx.saved_tensors
        return None, *smooth_call(transposed(ctx.function, len(x)), *x, *G)

    @staticmethod
    def jvp(ctx: Any, _: None, *tangents: Tensor | None) -> tuple[Tensor, ...]:
        x = ctx.saved_tensors
        return smooth_call(directional(ctx.function, len(x)), *x, *zeros_for_none(x, tangents))
