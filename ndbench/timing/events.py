"""Times on a GPU: between events on its stream, with a flushed cache."""

from collections.abc import Callable
from typing import Any

import torch

Function = Callable[[], Any]

SHORT = 20e-6
"""Seconds below which a graph is to be timed (`ndbench.timing.graphs`): launching from Python takes about as long."""

FLUSHES = 2
"""Times the L2 cache that is written before each call."""


class Events:
    """Times between events on the current CUDA stream, with the L2 cache flushed before."""

    def __init__(self) -> None:
        size: int = torch.cuda.get_device_properties().L2_cache_size
        self._lines = torch.empty(FLUSHES * size, dtype=torch.int8, device="cuda")

    @property
    def flushed(self) -> int:
        """Bytes written before each call."""
        return self._lines.nbytes

    def flush(self) -> None:
        """Fill twice the L2 cache."""
        self._lines.zero_()

    def seconds(self, function: Function) -> float:
        """Seconds of one call, from an event before it to one behind it."""
        before, behind = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        self.flush()
        before.record()
        function()
        behind.record()
        behind.synchronize()
        return float(before.elapsed_time(behind)) / 1e3
