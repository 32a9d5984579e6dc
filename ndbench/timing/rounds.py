"""Times of functions side by side: interleaved rounds in changing order, caches flushed, raw samples kept."""

import math
import random
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from ndbench.environment import environment
from ndbench.timing.events import Events
from ndbench.timing.samples import Samples
from ndbench.timing.warmth import until_steady

Function = Callable[[], Any]

FEWEST, FEWEST_ON_GPU = 15, 30
"""Samples that a slow function has as well: the lower quartile of fewer is noise, and on a GPU they cost little."""


def interleaved(
    functions: Mapping[str, Function],
    device: str,
    rounds: int = 30,
    enough: float = math.inf,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, Samples]:
    """Time every function once in each round, on the CPU by the clock, on a GPU between events with a flushed L2.

    The order is drawn anew for every other round and reversed in the next. A fixed order is no order for comparisons: a
    function finds the caches as its predecessor left them, and one beside another neighbour was always called slower
    than itself (docs/timing.md).

    Args:
        functions: what to time, by name; each is called once before the first round, on a GPU for 0.3 s at least and
            until its clocks are steady (`ndbench.timing.warmth`).
        device: "cpu" or "cuda", where they compute.
        rounds: at least 2.
        enough: seconds after which a function takes part in no further round, if it has 15 samples, on a GPU 30.
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
    events = Events() if device != "cpu" else None
    how = {
        "timed_on": device,
        "clock": "events" if events else getattr(clock, "__name__", repr(clock)),
        "flushed": events.flushed if events else 0,
    }
    take = events.seconds if events else partial(by_the_clock, clock=clock)
    return in_turns(functions, take, how, rounds, enough)


def in_turns(
    functions: Mapping[str, Function],
    take: Callable[[Function], float],
    how: Mapping[str, Any],
    rounds: int,
    enough: float = math.inf,
    *,
    captured: bool = False,
) -> dict[str, Samples]:
    """The rounds of `interleaved`, with the seconds that `take` says.

    Args:
        functions: what takes turns, by name.
        take: seconds of one call.
        how: what the provenance says of it; "timed_on" is "cpu" where there are no clocks to raise.
        rounds: at least 2.
        enough: seconds after which a function takes part in no further round, if it has 15 samples, on a GPU 30.
        captured: whether the functions replay graphs.

    Raises:
        ValueError: for fewer than 2 rounds.

    Example:
        >>> found = in_turns({"a": list, "b": dict}, lambda function: 2.0, {"timed_on": "cpu"}, rounds=3)
        >>> found["b"].seconds
        (2.0, 2.0, 2.0)
    """
    if rounds < 2:
        raise ValueError(f"interleaved: rounds must be at least 2; got {rounds}")
    gpu = how["timed_on"] != "cpu"
    warmth = until_steady(partial(_turn, list(functions.values()), gpu), gpu=gpu)
    fewest = FEWEST_ON_GPU if gpu else FEWEST
    samples: dict[str, list[float]] = {name: [] for name in functions}
    for order in orders(list(functions), rounds):
        for name in order:
            if len(samples[name]) < fewest or sum(samples[name]) < enough:
                samples[name].append(take(functions[name]))
    # asked now, when the clocks of a GPU are those of the work
    provenance, together = {**environment(), **how, "warm_up": warmth}, uuid.uuid4().hex
    return {name: Samples(tuple(seconds), captured, provenance, together) for name, seconds in samples.items()}


def orders(names: Sequence[str], rounds: int) -> Iterator[list[str]]:
    """Yield the order of each round: drawn for one, reversed in the next, so that a steady drift cancels.

    Example:
        >>> list(orders("abc", 4))
        [['a', 'c', 'b'], ['b', 'c', 'a'], ['a', 'c', 'b'], ['b', 'c', 'a']]
    """
    rng = random.Random(0)
    order = list(names)
    for i in range(rounds):
        if i % 2:
            order = order[::-1]
        else:
            rng.shuffle(order)
        yield list(order)


def by_the_clock(function: Function, clock: Callable[[], float] = time.perf_counter) -> float:
    """Seconds of one call on the CPU."""
    started = clock()
    function()
    return clock() - started


def _turn(functions: Sequence[Function], gpu: bool) -> None:
    for function in functions:
        function()
    if gpu:
        torch.cuda.synchronize()
