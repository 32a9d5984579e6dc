import math
import random
from itertools import islice

import pytest
import torch

from ndbench.cost import layer as model
from ndbench.cost.counting import count
from ndbench.cost.footprints import deconvolution
from ndbench.cost.geometry import Convolution, Layer, Whitening
from ndbench.cost.model import Cost
from tests.cost.geometries import geometries


def layers(count):
    """So many that count more than one patch."""
    several = (one for one in drawn(2 * count) if one.convolution.shape[0] * math.prod(output_size(one)) > 1)
    return list(islice(several, count))


def output_size(layer):
    """Rows and columns of counted patches."""
    return layer.patches.output_size(*layer.convolution.shape[2:])


def drawn(count):
    """Deconvolved layers on random geometries, at most so large a convolution stride as a sampling stride of 1."""
    rng = random.Random(1)
    for geometry in geometries(count, seed=1):
        patches, channels = geometry.patches, geometry.shape[1]
        groups = rng.choice([g for g in (1, 1, 2, 3) if channels % g == 0])
        convolution = Convolution.of(
            geometry.shape,
            groups * rng.randint(1, 4),
            patches.kernel_size,
            stride=patches.stride,
            padding=patches.padding,
            dilation=patches.dilation,
            groups=groups,
            input_gradient=rng.random() < 0.7,
        )
        grouping = patches.grouping if groups == 1 else "channel"
        method = rng.choice(["newton_schulz", "minimax_quintic", "denman_beavers", "spectral"])
        whitening = Whitening(rng.choice([1, 2, 64]), rng.randint(1, 3), method, rng.randint(1, 6), grouping)
        yield Layer(convolution, whitening)


def built(layer):
    torch.manual_seed(0)
    return deconvolution(layer, eps=1.0)


def counted(layer):
    """Forward and backward of a step of training."""
    conv = layer.convolution
    x = torch.randn(conv.shape, generator=torch.Generator().manual_seed(0)).requires_grad_(conv.input_gradient)
    module = built(layer)
    forward = count(lambda: module(x)).flops
    return forward, count(lambda: module(x).sum().backward()).flops - forward


def modelled(layer, parts=model.parts):
    found = parts(layer).values()
    return tuple(sum(cost[side].products for cost in found) for side in (0, 1))


LAYERS = layers(60)


def test_a_step_costs_what_is_counted():
    assert [layer for layer in LAYERS if counted(layer) != modelled(layer)] == []


@pytest.mark.parametrize("part", ["covariance", "root", "folding", "convolution"])
def test_a_part_that_is_left_out_is_missed(part):
    def without(layer):
        return {name: cost for name, cost in model.parts(layer).items() if name != part}

    changed = [layer for layer in LAYERS if modelled(layer, without) != modelled(layer)]
    assert len(changed) > len(LAYERS) // 2
    layer = changed[0]
    assert counted(layer) != modelled(layer, without)


@pytest.mark.parametrize("input_gradient", [True, False])
def test_large_blocks(input_gradient):
    # order 270: products by oneDNN, the blocks of a triangle, and the eigenbasis if a gradient is recorded
    convolution = Convolution.of((2, 30, 5, 5), 4, 3, padding=1, input_gradient=input_gradient)
    layer = Layer(convolution, Whitening(sampling=2))
    assert layer.order == 270
    assert counted(layer) == modelled(layer)
    forward, _ = model.parts(layer)["root"]
    assert forward.products == 2 * 270**3 * (1 if input_gradient else 12)


def test_evaluation_costs_the_convolution():
    layer = LAYERS[0]
    module = built(layer).eval()
    x = torch.zeros(layer.convolution.shape)
    with torch.no_grad():
        module(x)
        assert count(lambda: module(x)).flops == model.convolution(layer.convolution).flops


def test_the_layers_of_the_test_are_of_all_kinds():
    algorithms = {model.algorithm_of(layer) for layer in LAYERS}
    assert "buffered" in algorithms
    assert {layer.convolution.groups for layer in LAYERS} == {1, 2, 3}
    assert {layer.whitening.sampling for layer in LAYERS} == {1, 2, 3}


def test_the_law_of_the_paper():
    layer = Layer(Convolution.of((128, 64, 32, 32), 64, 3, padding=1), Whitening(block=16))
    assert model.law(layer) == (2 * 128 * 32 * 32 * 9 * 64 * 16, 2 * (9 * 16) ** 3)


def test_the_law_counts_the_matrix_of_every_group():
    layer = Layer(Convolution.of((2, 64, 8, 8), 64, 3, padding=1, groups=4), Whitening(block=16))
    assert layer.matrices == 4
    assert model.law(layer)[1] == 4 * 2 * (9 * 16) ** 3


def test_bytes_of_a_convolution():
    conv = Convolution.of((2, 4, 5, 5), 6, 3, groups=2)
    x, weight, y = 2 * 4 * 25, 6 * 2 * 9, 2 * 6 * 9
    assert model.convolution(conv).moved == 4 * (x + weight + y)
    assert model.convolution_backward(conv).moved == 4 * 2 * (x + weight) + 4 * y
    first = Convolution.of((2, 4, 5, 5), 6, 3, groups=2, input_gradient=False)
    assert model.convolution_backward(first).moved == 4 * (x + weight + y)


def test_scipy_has_no_gradient():
    layer = Layer(Convolution.of((2, 4, 5, 5), 6, 3), Whitening(method="scipy_sqrtm"))
    assert model.parts(layer)["root"][1] == Cost(0)
