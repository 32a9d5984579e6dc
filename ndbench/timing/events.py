"""Times on a GPU: between events on its stream, with a flushed cache, and without launches where these dominate."""

from collections.abc import Callable
from typing import Any

import torch

from ndbench.environment import environment
from ndbench.timing.samples import Samples
from ndbench.timing.warmth import until_steady

Function = Callable[[], Any]

REPEATS = 5
"""Calls in one captured graph: launching it costs as much as the shortest kernels take."""

SHORT = 20e-6
"""Seconds below which a call is to be timed by `captured`: launching from Python takes about as long."""

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


def captured(function: Function, rounds: int = 30) -> Samples:
    """Time a function on the GPU without its launches: a graph of flushes and calls, less one of flushes alone.

    For anything that takes less than :data:`SHORT`, where an eager call is timed by its launches. A sample may come out
    below 0 where the function takes less than the noise of the flushes.
    """
    events = Events()
    with_calls, flushes = _graph(events.flush, function), _graph(events.flush)

    def turn() -> float:
        return (events.seconds(with_calls) - events.seconds(flushes)) / REPEATS

    warmth = until_steady(turn, gpu=True)
    found = tuple(turn() for _ in range(rounds))
    how = {"timed_on": "cuda", "clock": "events", "flushed": events.flushed, "calls": REPEATS, "warm_up": warmth}
    return Samples(found, captured=True, provenance={**environment(), **how})


def _graph(*functions: Function) -> Function:
    """Replay of a graph of so many repeats of all functions."""
    aside = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            for function in functions:
                function()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for _ in range(REPEATS):
            for function in functions:
                function()
    return graph.replay
