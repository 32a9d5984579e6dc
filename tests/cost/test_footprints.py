from functools import partial

import pytest
import torch
from torch.nn import functional

from ndbench.cost import footprints
from ndbench.cost.footprint import footprint, observed
from ndbench.cost.geometry import Convolution, Layer, Whitening
from ndbench.operations import inverse_sqrt
from ndbench.operations.layer import folded
from ndbench.roots.adjoints.choice import ADJOINTS
from tests.cost.geometries import geometries
from tests.cost.test_covariance import RUNS
from tests.cost.test_layer import LAYERS

# what scipy moves is no operator's
WAYS = [(m, adjoint) for m, adjoints in ADJOINTS.items() for adjoint in adjoints[1:] if not m.startswith("scipy")]
FIRST = Layer(Convolution.of((2, 4, 6, 6), 3, 3, input_gradient=False), Whitening(block=2))


@pytest.fixture(autouse=True)
def as_it_is_used(nan_filled_empty_tensors):
    """Deterministic algorithms, which the tests switch on, hold more."""
    torch.use_deterministic_algorithms(False)


def both_ways(function, leaves):
    """Of a run with values."""
    answer, forward = observed(function)
    answers = answer if isinstance(answer, tuple) else (answer,)
    upstream = [torch.ones_like(one) for one in answers]
    return forward, footprint(lambda: torch.autograd.grad(answers, leaves, upstream))


@pytest.mark.parametrize("name", footprints.COVARIANCES)
def test_covariances(name):
    for geometry in geometries(5, seed=3):
        forward, backward = footprints.covariance(name, geometry.shape, geometry.patches)
        assert forward == footprint(RUNS[name](geometry))
        assert backward == footprint(RUNS[f"{name}_adjoint"](geometry))
        assert footprints.covariance(name, geometry.shape, geometry.patches, backward=False) == (forward, None)


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize(("method", "adjoint"), WAYS)
def test_roots(method, adjoint, steps):
    A = (torch.eye(5) + 0.1).repeat(3, 1, 1).requires_grad_()
    function = partial(inverse_sqrt, A, method=method, adjoint=adjoint, steps=steps, check=False)
    assert footprints.root(method, adjoint, steps, 5, batch=3) == both_ways(function, [A])


KEPT = {
    ("newton_schulz", "reverse"): 2,
    ("newton_schulz", "autograd"): 3,
    ("newton_schulz", "eigenbasis"): 0,
    ("minimax_cubic", "reverse"): 2,
    ("minimax_cubic", "autograd"): 4,
    ("minimax_quintic", "reverse"): 2,
    ("minimax_quintic", "autograd"): 4,
    ("denman_beavers", "reverse"): 3,
    ("denman_beavers", "autograd"): 7,
    ("denman_beavers_plain", "autograd"): 2,
}
"""Matrices that a gradient needs of each step."""


@pytest.mark.parametrize(("method", "adjoint"), KEPT)
def test_a_tape_keeps_matrices_of_every_step(method, adjoint):
    five, six = (footprints.root(method, adjoint, steps, 100)[0].held for steps in (5, 6))
    assert round((six - five) / (4 * 100**2), 2) == KEPT[method, adjoint]


@pytest.mark.parametrize("layer", [*LAYERS[:12], FIRST], ids=str)
def test_whole_layers(layer):
    x = torch.randn(layer.convolution.shape).requires_grad_(layer.convolution.input_gradient)
    module = footprints.deconvolution(layer, bias=False, eps=1.0)
    leaves = [module.weight, *([x] if layer.convolution.input_gradient else [])]
    # the first batch chooses an algorithm
    module(x)
    assert footprints.whole(layer) == both_ways(partial(module, x), leaves)


@pytest.mark.parametrize("layer", [*LAYERS[:12], FIRST], ids=str)
def test_convolutions_and_foldings(layer):
    conv, wanted = layer.convolution, layer.convolution.input_gradient
    weight = torch.randn(conv.outputs, conv.shape[1] // conv.groups, *conv.kernel_size, requires_grad=True)
    x = torch.randn(conv.shape, requires_grad=wanted)
    function = partial(functional.conv2d, x, weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    assert footprints.convolution(conv) == both_ways(function, [weight, *([x] if wanted else [])])
    matrices = () if layer.patches.pooled else (layer.matrices,)
    mean = torch.randn(*matrices, layer.order, requires_grad=wanted)
    D = torch.randn(*matrices, layer.order, layer.order, requires_grad=wanted)
    function = partial(folded, weight, None, mean, D, layer.whitening.grouping)
    assert footprints.folding(layer) == both_ways(function, [weight, *([mean, D] if wanted else [])])


def test_a_first_layer_has_a_gradient_of_its_weight_alone():
    _, backward = footprints.whole(FIRST)
    assert backward.held < 2 * 4 * FIRST.convolution.outputs * 9 * 4 + 4 * 2 * 4 * 36
