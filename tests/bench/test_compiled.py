"""What `torch.compile` makes of contenders."""

import pytest
import torch

from ndbench.bench.compiled import compiled
from ndbench.bench.covariance import Layer
from ndbench.bench.roots import Iteration
from ndbench.bench.workloads import Contender, passes


@pytest.fixture
def sizes(monkeypatch):
    """Those of the inputs of every graph, none of which is lowered to code."""
    found = []

    def backend(graph, inputs):
        found.append([tuple(given.shape) for given in inputs])
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **how: compile_(function, backend=backend, **how))
    return found


def test_every_root_is_compiled_for_its_own_sizes(sizes):
    for n in (3, 4, 5):
        iteration = Iteration("newton_schulz", n, 2)
        iteration.contenders("cuda")["torch.compile"].function(iteration.matrices("cpu"))
    assert sizes == [[(2, n, n)] for n in (3, 4, 5)]


LAYERS = [
    Layer((2, 4, 6, 5), 3, block=2, compiled=True),
    Layer((2, 4, 6, 5), 3, stride=3, block=4, channels_last=True, compiled=True),
    Layer((2, 4, 6, 5), 3, block=2, pooled=False, compiled=True),
    Layer((2, 4, 6, 5), 3, block=2, grouping="interleaved", compiled=True),
    Layer((2, 4, 6, 5), 3, block=4, dtype=torch.float16, compiled=True),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.workload().name)
def test_a_compiled_covariance_is_one_graph_and_right_with_its_gradient(layer, sizes):
    workload = layer.workload()
    x = workload.input("cpu")
    contender = workload.contenders("cuda")["torch.compile"]
    exact = dict(passes(Contender(workload.truth), x.double()))
    for direction, run in passes(contender, x):
        for found, true in zip(run(), exact[direction](), strict=True):
            assert found.dtype == x.dtype
            assert torch.linalg.norm(found.double() - true) <= 4 * torch.finfo(x.dtype).eps * torch.linalg.norm(true)
    assert sizes
    assert {tuple(shapes[0]) for shapes in sizes} == {layer.shape}


def test_nothing_is_compiled_before_the_first_call(sizes):
    function = compiled(lambda x: (x + 1,))
    assert sizes == []
    (found,) = function(torch.zeros(2))
    assert (found.tolist(), sizes) == ([1, 1], [[(2,)]])
