"""Running until clocks are steady, before the first sample."""

import math
import time
from collections.abc import Callable
from typing import Any

LEAST = 0.3
"""Seconds that a GPU is kept busy at least: its clocks rise within a few tenths of a second."""

MOST = 3.0
"""Seconds after which the rounds begin on an unsteady GPU too; the samples then say so."""

AGREEMENT = 0.05
"""Relative difference of two successive turns that counts as steady."""


def until_steady(
    turn: Callable[[], Any], *, gpu: bool, clock: Callable[[], float] = time.perf_counter
) -> dict[str, Any]:
    """Take one turn, and on a GPU more until two successive ones agree within 5 %, for 0.3 s at least and 3 s at most.

    The first turn loads libraries, compiles, and fills caches and pools of memory; its time is not looked at. On a CPU
    it is the only one: the clocks there follow what else runs, which no warm-up of one process settles, and rounds
    are interleaved instead.

    Args:
        turn: everything that will be timed, once; it returns when the device is done.
        gpu: whether there are clocks to raise.
        clock: in seconds.

    Returns:
        turns beside the first, seconds that they took, and whether the last two agreed (None on a CPU).

    Example:
        >>> until_steady(lambda: None, gpu=False)
        {'turns': 0, 'seconds': 0.0, 'steady': None}
    """
    turn()
    if not gpu:
        return {"turns": 0, "seconds": 0.0, "steady": None}
    started = now = clock()
    previous, turns = math.inf, 0
    while True:
        turn()
        turns, before, now = turns + 1, now, clock()
        steady = abs(now - before - previous) <= AGREEMENT * (now - before)
        if (steady and now - started >= LEAST) or now - started >= MOST:
            return {"turns": turns, "seconds": now - started, "steady": steady}
        previous = now - before
