"""What evaluation computes once and keeps."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ndbench.layers.values import has_values

Value = tuple[Tensor, ...]


class Memo:
    """Tensors computed from others, kept until one of those is written to or replaced.

    Writes through `.data`, and those of fused optimizers, are invisible to PyTorch's version counters, and to this: who
    expects them begins with a new one. Copies and pickles begin empty.
    """

    def __init__(self) -> None:
        # in one piece, since threads may share a layer: key, aliases of the sources, value
        self.kept: tuple[Any, Value, Value] | None = None

    def get(self, sources: Sequence[Tensor | None], compute: Callable[[], Value]) -> Value:
        """The value in full precision, computed without gradient unless that was done for these very sources."""
        given = [source for source in sources if source is not None]
        with full_precision(given[0].device):
            if any(_is_passing(source) for source in given):
                return compute()
            key = tuple(None if s is None else _identity(s) for s in sources)
            kept = self.kept
            if kept is None or key != kept[0]:
                # what inference mode makes could not be part of a graph later
                with torch.inference_mode(mode=False), torch.no_grad():
                    # as long as aliases live, no other tensor can have the same address
                    self.kept = kept = key, tuple(source.detach() for source in given), compute()
            return kept[2]

    def __reduce__(self) -> tuple[type["Memo"], tuple[()]]:
        return Memo, ()


def _identity(source: Tensor) -> tuple[Any, ...]:
    """What tells a tensor from others, views of the same memory among them, and from itself before a write."""
    return source.data_ptr(), source.shape, source.stride(), source._version, source.dtype, source.device


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """No autocast."""
    if device.type == "meta":
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def _is_passing(source: Tensor) -> bool:
    """Whether nothing can be kept: tensors of inference mode count no versions, others have no address."""
    if source.is_inference() or not has_values(source) or torch._C._functorch.is_functorch_wrapped_tensor(source):
        return True
    return forward_ad.unpack_dual(source).tangent is not None  # type: ignore[no-untyped-call]
