"""Times on a GPU."""

import pytest
import torch

from ndbench.timing import captured, events, interleaved


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_takes_less_than_its_launches():
    x = torch.randn(64, 64, device="cuda")
    eager = interleaved({"x": lambda: x @ x @ x @ x}, "cuda", rounds=5)["x"]
    graph = captured(lambda: x @ x @ x @ x, rounds=5)
    assert graph.captured
    assert graph.provenance["calls"] == 5
    assert graph.typical < eager.typical


class SteppingEvents:
    """Events that take 10 us for a graph with calls and 4 us for one of flushes alone."""

    flushed = 123

    def flush(self):
        pass

    def seconds(self, graph):
        return graph()


def test_what_the_flushes_take_is_subtracted(monkeypatch):
    graphs = {2: lambda: 10e-6, 1: lambda: 4e-6}
    monkeypatch.setattr(events, "Events", SteppingEvents)
    monkeypatch.setattr(events, "_graph", lambda *functions: graphs[len(functions)])
    monkeypatch.setattr("ndbench.timing.warmth.LEAST", 0.0)
    monkeypatch.setattr("ndbench.timing.warmth.MOST", 0.0)
    found = captured(lambda: None, rounds=3)
    assert found.captured
    assert found.seconds == pytest.approx([6e-6 / 5] * 3)
    assert found.provenance["timed_on"] == "cuda"
