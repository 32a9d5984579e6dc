"""Whose values can be looked at, and when."""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor


def has_values(x: Tensor) -> bool:
    """Whether there are any: not on the meta device, and not in FakeTensorMode."""
    return not x.is_meta and not isinstance(x, FakeTensor)


def is_seen(x: Tensor) -> bool:
    """Whether operations run on the values as they come, outside compiled graphs."""
    return not torch.compiler.is_compiling() and has_values(x)


def waits(x: Tensor) -> bool:
    """Whether values are looked at right away: on a CPU, outside compiled graphs."""
    return x.device.type == "cpu" and is_seen(x)
