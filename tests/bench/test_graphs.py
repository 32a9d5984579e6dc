"""Rows of CUDA graphs, with stand-ins for what takes a GPU."""

import math
from dataclasses import replace

import pytest
import torch

from ndbench.bench import run
from ndbench.bench.run import AGAIN, compare
from ndbench.bench.workloads import Contender
from ndbench.timing import Samples
from tests.bench.synthetic_rows import STEADY
from tests.bench.test_run import RATES, squares, workload
from tests.bench.test_stored import stored


class Device:
    """A GPU on which a function takes so many times a millisecond by a graph, in rounds that all graphs share."""

    def __init__(self, monkeypatch, again=1.0, **factors):
        self.factors, self.captured, self.replayed = factors, [], []
        self.again = again
        monkeypatch.setattr(run, "peak_memory", lambda function, device: 1)
        monkeypatch.setattr(run, "interleaved", lambda functions, **_: self.times(functions, captured=False))
        monkeypatch.setattr(run, "captured", self.capture)
        monkeypatch.setattr(run, "replayed", self.replay)
        monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)

    def capture(self, function):
        self.captured.append(function)
        function()
        return function

    def replay(self, graphs, **_):
        self.replayed.append(list(graphs))
        return self.times(graphs, captured=True)

    def times(self, functions, captured):
        found = {name: self.factors.get(name, self.again) for name in functions}
        how = {"timed_on": "cuda", "clock": "events"}
        return {
            name: Samples(tuple(factor * second for second in STEADY), captured, how, "shared")
            for name, factor in found.items()
        }

    def rows(self, **contenders):
        on_cpu = workload(**{name: Contender(squares) for name in self.factors} | contenders)
        chosen = replace(on_cpu, input=lambda device: torch.arange(1.0, 5.0))
        return [row for row in compare(chosen, "cuda", RATES, rounds=4) if "graph" in row.contender]


def test_graphs_take_turns_and_are_compared_with_the_first_of_them(monkeypatch):
    device = Device(monkeypatch, again=1.02, first=1.0, second=1.5)
    first, second, *_ = device.rows()
    assert device.replayed == [["first", AGAIN, "second"]] * 2
    assert len(device.captured) == 6
    assert first.noise == second.noise == pytest.approx(0.02)
    assert (first.comparison, first.memory) == (None, None)
    comparison = second.comparison
    assert (comparison.verdict, comparison.paired, comparison.floor) == ("slower", True, second.noise)


def test_graphs_of_a_stored_run_are_compared(monkeypatch, tmp_path):
    base = Device(monkeypatch, first=1.0).rows()
    head = Device(monkeypatch, first=2.0, again=2.0).rows()
    found = stored(tmp_path, *base).changes(head)
    assert [change.comparison.ratio for change in found] == pytest.approx([2.0] * 2)


def test_a_function_that_cannot_be_captured_leaves_the_others_their_turns(monkeypatch):
    device = Device(monkeypatch, off=1.0, eager=1.0, first=1.0, second=1.5)
    capture = run.captured

    def refused(function):
        if len(device.captured) == 0:
            device.captured.append(function)
            raise RuntimeError("operation not permitted when stream is capturing")
        return capture(function)

    monkeypatch.setattr(run, "captured", refused)
    off, first, second = device.rows(eager=Contender(squares, capturable=False))[:3]
    assert (off.contender, first.contender) == ("off, graph", "first, graph")
    assert off.failure == "RuntimeError: operation not permitted when stream is capturing"
    assert device.replayed[0] == ["first", AGAIN, "second"]
    assert (first.comparison, second.comparison.verdict) == (None, "slower")


@pytest.mark.parametrize(("first", "second"), [(1.0, -1.0), (-1.0, 1.0), (0.0, 1.0), (1.0, 0.0)])
def test_graphs_below_what_can_be_measured_have_no_verdict(first, second, monkeypatch):
    rows = Device(monkeypatch, first=first, second=second).rows()
    assert [row.comparison for row in rows] == [None] * 4
    assert all((row.noise == 0) == (first > 0) for row in rows)
    assert first > 0 or all(math.isinf(row.noise) for row in rows)
