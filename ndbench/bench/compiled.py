"""Contenders of `torch.compile`."""

from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor

Function = Callable[[Tensor], tuple[Tensor, ...]]


def compiled(function: Function) -> Function:
    """The function, compiled for the sizes of its first call, without a break in its graph."""

    @cache
    def whole() -> Function:
        # graphs of other workloads would be taken again, with sizes as variables, and run uncompiled after eight
        torch.compiler.reset()
        return torch.compile(function, dynamic=False, fullgraph=True)

    def call(x: Tensor) -> tuple[Tensor, ...]:
        # loading the compiler takes seconds: only once it is called
        return whole()(x)

    return call
