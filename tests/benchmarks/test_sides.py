"""The benchmarks that compare sides leave rounds and clocks to `ndbench.timing`, whose order changes."""

import time
from functools import partial

import pytest
import torch

from benchmarks import comparison, covariance, gradients
from ndbench.layers import DeconvLinear
from ndbench.timing import Samples


@pytest.fixture
def taken(monkeypatch):
    """What a benchmark has timed: each side takes a second more than the one before it."""
    found = {}

    def interleaved(functions, device, rounds, clock=time.perf_counter):
        for function in functions.values():
            function()
        found.update(names=list(functions), device=device, rounds=rounds, clock=clock)
        return {name: Samples((1.0 + i,) * rounds) for i, name in enumerate(functions)}

    for module in (comparison, covariance, gradients):
        monkeypatch.setattr(module, "interleaved", interleaved)
    return found


def test_covariances(taken, monkeypatch, capsys):
    monkeypatch.setattr(covariance, "LAYERS", {"small": ((1, 2, 5, 5), {"kernel_size": 3, "block": 2})})
    covariance.compare()
    algorithms = ["im2col", "lagged", "shifted"]
    assert taken == {"names": algorithms, "device": "cpu", "rounds": 15, "clock": time.perf_counter}
    assert capsys.readouterr().out.splitlines()[-1].startswith("| small | 1000.0 | 2000.0 | 3000.0 | ")


def test_gradients(taken, capsys):
    gradients.compare(4, torch.float32, 15, 2)
    assert taken == {"names": list(gradients.SIDES), "device": "cpu", "rounds": 15, "clock": time.perf_counter}
    rows = capsys.readouterr().out.splitlines()[-4:]
    assert [row.split(" | ")[1:3] for row in rows] == [[f"{k}000.0", f"{k}00%"] for k in (1, 2, 3, 4)]


def test_what_a_comparison_of_parameters_costs(taken):
    times = comparison.row(partial(DeconvLinear, 4, 3), (4,), 2)
    # seconds of five calls, as microseconds of one
    assert times == pytest.approx([2e5, 4e5, 6e5])
    assert taken["clock"] is time.process_time
    assert (taken["device"], taken["rounds"]) == ("cpu", comparison.ROUNDS)
