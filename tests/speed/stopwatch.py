"""One time by pytest-benchmark, after the answer was found to be right."""

import math
import time
from functools import lru_cache

import pytest
import torch

from ndbench.bench.accuracy import Standard
from ndbench.bench.run import settings
from ndbench.bench.workloads import passes
from ndbench.timing import Events
from ndbench.timing.warmth import until_steady
from tests.speed.records import record

JUDGED = pytest.StashKey[dict]()
"""In pytest's configuration: error over what is allowed, by case."""

MOST = 100
"""Samples that a quick function has."""


def timed(case, device, benchmark, config):
    """Judge the answer, then time one pass; a wrong answer fails the test and has no time.

    Samples are as many as pytest's --benchmark-min-rounds and --benchmark-max-time ask for, but at most 100.
    """
    x, standard = question(case.workload, device)
    benchmark.group = f"{case.workload.name} {case.direction}"
    benchmark.extra_info.update(record(case, device))
    with settings(case.contender):
        call = dict(passes(case.contender, x))[case.direction]
        answers = call()
        if not config.getoption("--unjudged", False):
            benchmark.extra_info.update(judged(case, standard, answers, config))
        rounds = samples(call, config) if benchmark.enabled else 1
        benchmark.pedantic(call, setup=flush(device), rounds=rounds, warmup_rounds=1)


def judged(case, standard, answers, config):
    """The error of the answers, and what is allowed; more than that fails the test."""
    error = standard.error(answers, case.contender, case.direction)
    allowed = standard.allowed(case.contender, case.direction)
    config.stash.setdefault(JUDGED, {})[case.id] = error / allowed
    if not error <= allowed:
        pytest.fail(f"the error must be at most {allowed:.1e}; it is {error:.1e}: not timed", pytrace=False)
    return {"error": error, "allowed": allowed}


@lru_cache(maxsize=1)
def question(workload, device):
    """The input and the truth, which the contenders of a workload share."""
    x = workload.input(device)
    return x, Standard(workload, x)


class Moment:
    """A point in a GPU's stream of work; the difference of two of them is in seconds, on the GPU's clock.

    As pytest-benchmark's timer it measures what `ndbench.timing.Events` does: from an event behind the flush to one
    behind the call, with no wait in between.
    """

    def __init__(self):
        self.event = torch.cuda.Event(enable_timing=True)
        self.event.record()

    def __sub__(self, earlier):
        self.event.synchronize()
        return earlier.event.elapsed_time(self.event) / 1e3


def samples(call, config):
    """How many fill the time that the options give."""
    started = time.perf_counter()
    call()
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()
    fewest, seconds = config.getoption("benchmark_min_rounds"), float(config.getoption("benchmark_max_time"))
    return max(fewest, min(MOST, math.ceil(seconds / (time.perf_counter() - started))))


@lru_cache
def flush(device):
    """What empties the L2 cache of a GPU before each sample; its clocks are raised once, before the first."""
    if device == "cpu":
        return None
    A = torch.randn(4096, 4096, device=device)
    until_steady(lambda: (A @ A, torch.cuda.synchronize()), gpu=True)
    return Events().flush
