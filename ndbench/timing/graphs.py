"""Times on a GPU without launches, where these dominate: CUDA graphs of calls, less one of flushes alone."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from ndbench.timing.events import Events
from ndbench.timing.rounds import in_turns
from ndbench.timing.samples import Samples

Function = Callable[[], Any]

REPEATS = 5
"""Calls in one captured graph: launching it costs as much as the shortest kernels take."""


def captured(function: Function) -> Function:
    """The replay of a graph of five flushes of the L2 cache and calls.

    Raises:
        Exception: whatever the function raises while it is captured; synchronize the device then.
    """
    return _graph(Events().flush, function)


def replayed(graphs: Mapping[str, Function], rounds: int = 30, enough: float = math.inf) -> dict[str, Samples]:
    """Time every captured graph once in each round, in the order of `interleaved`, less one of flushes alone.

    For anything that takes less than :data:`ndbench.timing.SHORT`, where an eager call is timed by its launches. All
    are captured before the first round, so that samples of one round are pairs. A sample may come out below 0 where the
    function takes less than the noise of the flushes.

    Args:
        graphs: what `captured` returned, by name.
        rounds: at least 2.
        enough: seconds after which a graph takes part in no further round, as in `interleaved`.

    Returns:
        The samples of each, of one call.

    Raises:
        ValueError: for fewer than 2 rounds, which have no quartiles.
    """
    events = Events()
    flushes = _graph(events.flush)

    def seconds(graph: Function) -> float:
        return (events.seconds(graph) - events.seconds(flushes)) / REPEATS

    how = {"timed_on": "cuda", "clock": "events", "flushed": events.flushed, "calls": REPEATS}
    return in_turns(graphs, seconds, how, rounds, enough, captured=True)


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
