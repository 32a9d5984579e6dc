"""Rows of a run, made by hand."""

from ndbench.bench.run import Row
from ndbench.bench.workloads import Workload
from ndbench.timing import Samples, compare

STEADY = tuple(1e-3 * (1 + 0.001 * (7 * i % 31)) for i in range(31))
HERE = {"timed_on": "cpu", "clock": "perf_counter"}


def times(factor=1.0, **provenance):
    return Samples(tuple(factor * second for second in STEADY), provenance={**HERE, **provenance}, rounds="shared")


def row(contender="torch", factor=1.0, direction="forward", **fields):
    """A row that is right, of a contender that takes so many times a millisecond."""
    found = {"error": 1e-7, "allowed": 1e-6, "memory": 2**20, "noise": 0.01, "samples": times(factor), **fields}
    return Row("squares", contender, direction, floor=1e-4, **found)


def compared(factor):
    return row("other", factor, comparison=compare(times(), times(factor), floor=0.01))


WRONG = row("off", samples=None, error=0.5, memory=None, failure="wrong: error 5.0e-01, its precision allows 1.0e-06")


def workload(name="squares", flops=1e6):
    return Workload(name, lambda device: None, lambda device: {}, None, flops, 1.0, family="powers")
