"""Processes of both sides that nobody ran: a quick test, and another, with noise of 1 %."""

import itertools
import random

from benchmarks.against.sides import Run

WHERE = {"device": "a device", "driver_version": "1.2", "packages": {"torch": "2"}}
SUITE_FILE = "tests/speed/test_workloads.py"
QUICK, OTHER, NEW = (f"{SUITE_FILE}::test_root[{name}/torch/forward]" for name in ("quick", "other", "new"))
ROUNDS = 12


def benchmark(name, seconds, error=1e-7, precision="ieee"):
    extra = {"commit": "c0ffee", "error": error, "device": "a device", "precision": precision}
    return {
        "name": name.partition("::")[2],
        "fullname": name,
        "group": None,
        "param": name,
        "params": None,
        "extra_info": extra,
        "stats": {"data": seconds},
    }


def process(seed, ratio=1.0, names=(QUICK, OTHER), slow=(QUICK,), wrong=None, *, precision="ieee"):
    """One process: the quick test at 1 ms times the ratio, noise of 1 % of the process and of each sample."""
    rng = random.Random(seed)
    of_process = rng.gauss(1, 0.01)
    found = []
    for name in names:
        typical = 1e-3 * of_process * (ratio if name in slow else 1)
        seconds = [typical * abs(rng.gauss(1, 0.01)) for _ in range(8)]
        found.append(benchmark(name, seconds, precision=precision))
    return Run({"machine_info": WHERE, "benchmarks": found}, wrong or {})


def runs(ratio=1.0, seed=0, base=None, head=None):
    seeds = itertools.count(1000 * seed)
    return {
        "base": [process(next(seeds), **(base or {})) for _ in range(ROUNDS)],
        "head": [process(next(seeds), ratio, **(head or {})) for _ in range(ROUNDS)],
    }


def disturbed(ratio, seed=0):
    """Runs of the quick test in which noise hides the ratio."""
    rng = random.Random(seed)
    return {
        side: [
            Run({"benchmarks": [benchmark(QUICK, [center * rng.lognormvariate(0, 0.5)] * 4)]}) for _ in range(ROUNDS)
        ]
        for side, center in (("base", 1e-3), ("head", ratio * 1e-3))
    }
