"""Whose values can be looked at, and when."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor

_answered: ContextVar[bool] = ContextVar("answered", default=False)


@contextmanager
def values_answered() -> Iterator[None]:
    """Inside the block fake tensors have values: whoever opens it answers what asks for them."""
    token = _answered.set(True)
    try:
        yield
    finally:
        _answered.reset(token)


def has_values(x: Tensor) -> bool:
    """Whether there are any: not on the meta device, and not in FakeTensorMode unless somebody answers there."""
    return not x.is_meta and (_answered.get() or not isinstance(x, FakeTensor))


def is_seen(x: Tensor) -> bool:
    """Whether operations run on the values as they come, outside compiled graphs."""
    return not torch.compiler.is_compiling() and has_values(x)


def waits(x: Tensor) -> bool:
    """Whether values are looked at right away: on a CPU, outside compiled graphs."""
    return x.device.type == "cpu" and is_seen(x)
