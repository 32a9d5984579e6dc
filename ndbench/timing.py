"""Times of functions side by side: interleaved rounds, caches flushed, raw samples kept."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

Function = Callable[[], Any]

FEWEST = 5
"""Samples that a slow function has as well."""

REPEATS = 5
"""Calls in one captured graph: launching it costs as much as the shortest kernels take."""


@dataclass(frozen=True)
class Samples:
    """Times of one function in seconds, in the order in which they were taken.

    Attributes:
        seconds: one for each round.
        captured: whether a CUDA graph was replayed, so that the time of launching from Python is not in them.
    """

    seconds: tuple[float, ...]
    captured: bool = False

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median, upper quartile."""
        lower, median, upper = statistics.quantiles(self.seconds)
        return lower, median, upper

    @property
    def typical(self) -> float:
        """The lower quartile: disturbances only ever add time."""
        return self.quartiles[0]


def interleaved(
    functions: Mapping[str, Function],
    device: str,
    rounds: int = 30,
    enough: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Samples]:
    """Time every function once in each round, on the CPU by the clock, on a GPU between events with a flushed L2.

    Args:
        functions: what to time, by name; each is called once before the first round.
        device: "cpu" or "cuda", where they compute.
        rounds: at least 2.
        enough: seconds after which a function takes part in no further round, if it has five samples.
        clock: of the CPU, in seconds; `time.process_time` counts those that the process had, of all its threads
            together, which tells more than the time of day on one thread of a machine shared with others.

    Returns:
        The samples of each.

    Raises:
        ValueError: for fewer than 2 rounds, which have no quartiles.

    Example:
        >>> found = interleaved({"sum": lambda: sum(range(100))}, "cpu", rounds=4)
        >>> len(found["sum"].seconds), found["sum"].typical > 0
        (4, True)
    """
    if rounds < 2:
        raise ValueError(f"interleaved: rounds must be at least 2; got {rounds}")
    take = partial(by_the_clock, clock=clock) if device == "cpu" else Events().seconds
    for function in functions.values():
        function()
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            if len(samples[name]) < FEWEST or sum(samples[name]) < enough:
                samples[name].append(take(function))
    return {name: Samples(tuple(seconds)) for name, seconds in samples.items()}


def captured(function: Function, rounds: int = 30) -> Samples:
    """Time a function on the GPU without its launches: a graph of flushes and calls, less one of flushes alone."""
    events = Events()
    with_calls, flushes = _graph(events.flush, function), _graph(events.flush)
    found = [(events.seconds(with_calls) - events.seconds(flushes)) / REPEATS for _ in range(rounds)]
    return Samples(tuple(found), captured=True)


def by_the_clock(function: Function, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call on the CPU."""
    started = clock()
    function()
    return clock() - started


class Events:
    """Times between events on the current CUDA stream, with the L2 cache flushed before."""

    def __init__(self) -> None:
        size: int = torch.cuda.get_device_properties().L2_cache_size
        self._lines = torch.empty(2 * size, dtype=torch.int8, device="cuda")

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
