"""Times on a GPU."""

import pytest
import torch

from ndbench.timing import captured, interleaved


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_graph_takes_less_than_its_launches():
    x = torch.randn(64, 64, device="cuda")
    eager = interleaved({"x": lambda: x @ x @ x @ x}, "cuda", rounds=5)["x"]
    graph = captured(lambda: x @ x @ x @ x, rounds=5)
    assert graph.captured
    assert graph.provenance["calls"] == 5
    assert graph.typical < eager.typical
