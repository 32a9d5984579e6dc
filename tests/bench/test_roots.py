"""Contenders of the inverse square roots."""

import torch

from ndbench.bench.roots import Iteration, _compiled


def test_every_workload_is_compiled_for_its_own_sizes(monkeypatch):
    sizes = []

    def backend(graph, inputs):
        sizes.append([tuple(given.shape) for given in inputs])
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **how: compile_(function, backend=backend, **how))
    for n in (3, 4, 5):
        iteration = Iteration("newton_schulz", n, 2)
        _compiled(iteration._plain())(iteration.matrices("cpu"))
    assert sizes == [[(2, n, n)] for n in (3, 4, 5)]
