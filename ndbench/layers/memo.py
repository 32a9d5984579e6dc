"""What evaluation computes once and keeps."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor


class Memo:
    """Tensors computed from others, kept until one of those is written to or replaced.

    Writes through `.data` are invisible to PyTorch's version counters, and to this. Copies and pickles begin empty.
    """

    def __init__(self) -> None:
        self.key: tuple[Any, ...] | None = None
        self.value: tuple[Tensor, ...] = ()

    def get(self, sources: Sequence[Tensor | None], compute: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """The value, computed without gradient unless that was done for these very sources."""
        if any(source is not None and source.is_inference() for source in sources):
            return compute()  # inference tensors count no versions
        key = tuple(None if s is None else (s.data_ptr(), s._version, s.dtype, s.device) for s in sources)
        if key != self.key:
            # what inference mode makes could not be part of a graph later
            with torch.inference_mode(mode=False), torch.no_grad():
                self.key, self.value = key, compute()
        return self.value

    def __reduce__(self) -> tuple[type["Memo"], tuple[()]]:
        return Memo, ()
