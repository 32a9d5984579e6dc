"""Times side by side."""

import time

import pytest
import torch

from ndbench.timing import Samples, captured, interleaved


def test_every_function_has_a_sample_of_every_round():
    calls = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, "cpu", rounds=3)
    assert calls == ["a", "b"] * 4
    assert {name: len(samples.seconds) for name, samples in found.items()} == {"a": 3, "b": 3}


def test_sleeping_takes_as_long_as_it_says():
    found = interleaved({"long": lambda: time.sleep(0.02), "short": lambda: time.sleep(0.002)}, "cpu", rounds=5)
    assert 0.02 <= found["long"].typical < 0.2
    assert found["short"].typical < found["long"].typical


def test_a_slow_function_takes_part_in_five_rounds():
    functions = {"slow": lambda: time.sleep(0.01), "quick": lambda: None}
    found = interleaved(functions, "cpu", rounds=12, enough=0.02)
    assert {name: len(samples.seconds) for name, samples in found.items()} == {"slow": 5, "quick": 12}


def test_the_process_does_not_count_sleep():
    found = interleaved({"asleep": lambda: time.sleep(0.02)}, "cpu", rounds=5, clock=time.process_time)
    assert found["asleep"].typical < 0.01


def test_quartiles():
    samples = Samples((4.0, 1.0, 3.0, 2.0, 5.0))
    assert samples.quartiles == (1.5, 3.0, 4.5)
    assert samples.typical == 1.5


def test_one_round_has_no_quartiles():
    with pytest.raises(ValueError, match="rounds must be at least 2; got 1"):
        interleaved({}, "cpu", rounds=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_takes_less_than_its_launches():
    x = torch.randn(64, 64, device="cuda")
    eager = interleaved({"x": lambda: x @ x @ x @ x}, "cuda", rounds=5)["x"]
    graph = captured(lambda: x @ x @ x @ x, rounds=5)
    assert graph.captured
    assert graph.typical < eager.typical
