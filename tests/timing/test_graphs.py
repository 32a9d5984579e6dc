"""Times on a GPU by graphs, without launches."""

import pytest
import torch

from ndbench.timing import captured, graphs, interleaved, replayed


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_takes_less_than_its_launches():
    x = torch.randn(64, 64, device="cuda")
    eager = interleaved({"x": lambda: x @ x @ x @ x}, "cuda", rounds=5)["x"]
    graph = replayed({"x": captured(lambda: x @ x @ x @ x)}, rounds=5)["x"]
    assert graph.captured
    assert graph.provenance["calls"] == 5
    assert graph.typical < eager.typical


class SteppingEvents:
    """Events that take 4 us for a graph of flushes alone, and what the others say."""

    flushed = 123

    def flush(self):
        pass

    def seconds(self, graph):
        return graph()


@pytest.fixture
def standing_in(monkeypatch):
    monkeypatch.setattr(graphs, "Events", SteppingEvents)
    monkeypatch.setattr(graphs, "_graph", lambda *functions: functions[1] if len(functions) > 1 else lambda: 4e-6)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda: None)
    monkeypatch.setattr("ndbench.timing.warmth.LEAST", 0.0)
    monkeypatch.setattr("ndbench.timing.warmth.MOST", 0.0)


def test_what_the_flushes_take_is_subtracted(standing_in):
    found = replayed({"x": captured(lambda: 10e-6)}, rounds=3)["x"]
    assert found.captured
    assert found.seconds == pytest.approx([6e-6 / 5] * 3)
    assert found.provenance["timed_on"] == "cuda"
    assert (found.provenance["calls"], found.provenance["flushed"]) == (5, 123)


def test_graphs_take_turns_in_changing_order(standing_in):
    calls = []

    def function(name):
        return lambda: calls.append(name) or 10e-6

    found = replayed({name: captured(function(name)) for name in "abc"}, rounds=20)
    turns = ["".join(calls[i : i + 3]) for i in range(len(calls) - 60, len(calls), 3)]
    assert all(sorted(turn) == list("abc") for turn in turns)
    assert len(set(turns)) > 3
    assert all(there == back[::-1] for there, back in zip(turns[::2], turns[1::2], strict=True))
    assert len({samples.rounds for samples in found.values()}) == 1


def test_one_round_has_no_quartiles(standing_in):
    with pytest.raises(ValueError, match="rounds must be at least 2; got 1"):
        replayed({"x": lambda: 10e-6}, rounds=1)
