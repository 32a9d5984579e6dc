"""Running averages as buffers of float32 or better, whatever type the parameters get."""

from collections.abc import Callable
from itertools import chain
from typing import Any, Self

import torch

from ndbench.layers.faults import Reporting


class Averaging(Reporting):
    """A layer whose averages stay float32 or better when it is converted or loaded."""

    def _apply(self, fn: Callable[..., Any], recurse: bool = True) -> Self:
        """Convert, with averages in float32 or better."""
        before = dict(self._buffers)
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, old in before.items():
            new = self._buffers[name]
            if old is None or new is None:
                continue
            if new.is_floating_point():
                wide = torch.promote_types(new.dtype, torch.float32)
                self._buffers[name] = new if new.dtype == wide else (new if old.is_meta else old).to(new.device, wide)
            elif name == "faulty" and not new.is_meta:
                # to_empty gives it any value, and no state dict another
                self._buffers[name] = torch.zeros_like(new) if old.is_meta else old.to(new.device)
        return self

    def _load_from_state_dict(self, *arguments: Any, **options: Any) -> None:
        """Load, with averages in float32 or better: `assign` puts those of the state dict in their place."""
        super()._load_from_state_dict(*arguments, **options)
        for name, buffer in self._buffers.items():
            if buffer is not None and buffer.is_floating_point():
                self._buffers[name] = buffer.to(torch.promote_types(buffer.dtype, torch.float32))
        if self.faulty.is_meta:
            # not in a state dict
            self.faulty = torch.zeros_like(self.faulty, device=self._device())

    def _device(self) -> torch.device:
        """Where the parameters or the averages are."""
        return next(chain(self.parameters(recurse=False), self.buffers(recurse=False))).device
