"""Times side by side."""

import time

import pytest
import torch

from ndbench.environment import environment
from ndbench.timing import Outcome, Samples, compare, interleaved
from ndbench.timing import rounds as rounds_module
from ndbench.timing.rounds import orders


def test_every_function_has_a_sample_of_every_round():
    calls = []
    found = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, "cpu", rounds=3)
    assert calls[:2] == ["a", "b"]
    assert [sorted(calls[i : i + 2]) for i in (2, 4, 6)] == [["a", "b"]] * 3
    assert {name: len(samples.seconds) for name, samples in found.items()} == {"a": 3, "b": 3}


def test_every_other_round_is_reversed():
    found = list(orders("abcd", 40))
    assert all(sorted(order) == list("abcd") for order in found)
    assert all(there == back[::-1] for there, back in zip(found[::2], found[1::2], strict=True))
    assert len({tuple(order) for order in found}) > 10


class Neighbours:
    """Functions whose time depends on which ran before, on a clock of their own."""

    def __init__(self):
        self.now, self.last = 0.0, ""

    def function(self, name):
        def call():
            evicted = self.last == "evicts"
            self.now += 1.0 + evicted + 1e-6 * (hash((self.now, name)) % 1000)
            self.last = name

        return call

    def functions(self):
        return {name: self.function(name) for name in ("one", "evicts", "again")}


def test_a_function_is_no_slower_than_itself_whatever_ran_before():
    neighbours = Neighbours()
    found = interleaved(neighbours.functions(), "cpu", 40, clock=lambda: neighbours.now)
    assert compare(found["one"], found["again"]).verdict not in (Outcome.FASTER, Outcome.SLOWER)


def test_in_a_fixed_order_it_would_be():
    neighbours = Neighbours()
    functions = neighbours.functions()
    seconds = {name: [] for name in functions}
    for _ in range(41):
        for name, function in functions.items():
            before = neighbours.now
            function()
            seconds[name].append(neighbours.now - before)
    one, again = (Samples(tuple(seconds[name][1:]), rounds="same") for name in ("one", "again"))
    assert compare(one, again).verdict == Outcome.SLOWER


def test_samples_say_where_they_come_from():
    found = interleaved({"a": lambda: None, "b": lambda: None}, "cpu", rounds=2, clock=time.process_time)
    provenance = found["a"].provenance
    assert provenance | environment() == provenance
    assert {key: provenance[key] for key in ("timed_on", "clock", "flushed")} == {
        "timed_on": "cpu",
        "clock": "process_time",
        "flushed": 0,
    }
    assert provenance["warm_up"] == {"turns": 0, "seconds": 0, "steady": None}
    assert found["a"].rounds == found["b"].rounds != ""
    assert interleaved({"a": lambda: None}, "cpu", rounds=2)["a"].rounds != found["a"].rounds


def test_sleeping_takes_as_long_as_it_says():
    found = interleaved({"long": lambda: time.sleep(0.02), "short": lambda: time.sleep(0.002)}, "cpu", rounds=5)
    assert 0.02 <= found["long"].typical < 0.2
    assert found["short"].typical < found["long"].typical


def test_a_slow_function_takes_part_in_fifteen_rounds():
    functions = {"slow": lambda: time.sleep(0.01), "quick": lambda: None}
    found = interleaved(functions, "cpu", rounds=22, enough=0.02)
    assert {name: len(samples.seconds) for name, samples in found.items()} == {"slow": 15, "quick": 22}


def test_on_a_gpu_it_takes_part_in_thirty(monkeypatch):
    monkeypatch.setattr(rounds_module, "_turn", lambda functions, gpu: None)
    monkeypatch.setattr(rounds_module, "until_steady", lambda turn, gpu: {})
    found = rounds_module.in_turns({"slow": list}, lambda function: 1.0, {"timed_on": "cuda"}, 40, enough=2)
    assert len(found["slow"].seconds) == 30


def test_the_process_does_not_count_sleep():
    found = interleaved({"asleep": lambda: time.sleep(0.02)}, "cpu", rounds=5, clock=time.process_time)
    assert found["asleep"].typical < 0.01


def test_one_round_has_no_quartiles():
    with pytest.raises(ValueError, match="rounds must be at least 2; got 1"):
        interleaved({}, "cpu", rounds=1)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_is_warm_and_flushed():
    x = torch.randn(64, 64, device="cuda")
    provenance = interleaved({"x": lambda: x @ x}, "cuda", rounds=5)["x"].provenance
    assert provenance["warm_up"]["seconds"] >= 0.3
    assert provenance["flushed"] == 2 * torch.cuda.get_device_properties().L2_cache_size
    assert provenance["clock"] == "events"


class CountingEvents:
    """What takes times on a GPU, on the CPU."""

    flushed = 123

    def seconds(self, function):
        function()
        return 1e-6


def test_a_gpu_is_warmed_and_synchronized_and_timed_by_events(monkeypatch):
    synchronized = []
    monkeypatch.setattr(rounds_module, "Events", CountingEvents)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: synchronized.append(None))
    monkeypatch.setattr("ndbench.timing.warmth.LEAST", 0.0)
    calls = []
    found = interleaved({"x": lambda: calls.append("x")}, "cuda", rounds=3)["x"]
    assert found.seconds == (1e-6,) * 3
    assert (found.provenance["clock"], found.provenance["flushed"]) == ("events", 123)
    assert len(calls) == len(synchronized) + 3
    assert found.provenance["warm_up"]["turns"] == len(synchronized) - 1 > 0
