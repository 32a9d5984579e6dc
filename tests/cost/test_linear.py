"""The linear layer is the Deconv2d of one pixel: its models are those of a convolution of one pixel."""

import random

import pytest
import torch

from ndbench.cost import layer as model
from ndbench.cost.counting import count
from ndbench.cost.geometry import Whitening, linear
from ndbench.layers import DeconvLinear


def drawn(number):
    """Linear layers of several rows, by every kind of method."""
    rng = random.Random(2)
    for _ in range(number):
        features, outputs = rng.choice([1, 6, 12, 30]), rng.randint(1, 5)
        method = rng.choice(["newton_schulz", "minimax_quintic", "denman_beavers", "spectral"])
        grouping = rng.choice(["channel", "interleaved"])
        whitening = Whitening(rng.choice([2, 3, 512]), 1, method, rng.randint(1, 6), grouping)
        yield linear((rng.randint(2, 40), features), outputs, whitening, input_gradient=rng.random() < 0.7)


def counted(layer):
    """Forward and backward of a step of training."""
    conv, how = layer.convolution, layer.whitening
    torch.manual_seed(0)
    options = {"block": how.block, "steps": how.steps, "method": how.method, "grouping": how.grouping, "eps": 1.0}
    module = DeconvLinear(conv.shape[1], conv.outputs, **options)
    x = torch.randn(conv.shape[:2]).requires_grad_(conv.input_gradient)
    forward = count(lambda: module(x)).flops
    return forward, count(lambda: module(x).sum().backward()).flops - forward


def modelled(layer, without=""):
    found = [cost for name, cost in model.parts(layer).items() if name != without]
    return tuple(sum(cost[side].products for cost in found) for side in (0, 1))


LAYERS = list(drawn(40))


def test_a_step_costs_what_is_counted():
    assert [layer for layer in LAYERS if counted(layer) != modelled(layer)] == []


def test_a_large_block_costs_what_is_counted():
    layer = linear((300, 288), 10, Whitening(512, 1))
    assert layer.order == 288
    assert counted(layer) == modelled(layer)


@pytest.mark.parametrize("part", ["covariance", "root", "folding", "convolution"])
def test_a_part_that_is_left_out_is_missed(part):
    changed = [layer for layer in LAYERS if modelled(layer, part) != modelled(layer)]
    assert len(changed) > len(LAYERS) // 2
    assert counted(changed[0]) != modelled(changed[0], part)
