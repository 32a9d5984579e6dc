"""Contenders of the covariance, and what it is measured by."""

import pytest
import torch

from ndbench.bench.accuracy import Standard
from ndbench.bench.covariance import Layer, rows_of
from ndbench.bench.workloads import Contender, passes
from ndbench.covariance import Patches

SHAPE = (2, 8, 7, 6)
LAYERS = [
    Layer(SHAPE, 3, block=4, pooled=False),
    Layer(SHAPE, 3, block=4, grouping="interleaved"),
    Layer(SHAPE, 3, block=8, dtype=torch.float16),
    Layer(SHAPE, 3, block=8, dtype=torch.bfloat16),
]


def ratio(layer, contender, direction):
    """Error over what is allowed."""
    workload = layer.workload()
    x = workload.input("cpu")
    standard = Standard(workload, x)
    found = dict(passes(contender, x))[direction]()
    return standard.error(found, contender, direction) / standard.allowed(contender, direction)


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.workload().name)
def test_every_variant_is_right(layer, direction):
    for name, contender in layer.contenders("cpu").items():
        assert ratio(layer, contender, direction) < 0.5, name


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.workload().name)
def test_a_covariance_of_other_blocks_is_wrong(layer):
    def reversed_channels(x):
        return layer.covariance(x.flip(1), "im2col")

    assert not ratio(layer, Contender(reversed_channels), "forward") <= 1


def test_pooled_blocks_add_up_the_rows_of_all():
    separate, pooled = (Patches.of(3, padding=1, block=2, pooled=pooled) for pooled in (False, True))
    assert (rows_of(SHAPE, separate), rows_of(SHAPE, pooled)) == (2 * 42, 4 * 2 * 42)


def test_names_and_bytes_tell_the_variant():
    found = {layer.workload().name: layer.workload().bytes for layer in LAYERS}
    assert found == {
        "covariance-2x8x7x6-k3-s1-block4-separate": 4 * (672 + 2 * 36**2),
        "covariance-2x8x7x6-k3-s1-block4-interleaved": 4 * (672 + 36**2),
        "covariance-2x8x7x6-k3-s1-block8-float16": 2 * (672 + 72**2),
        "covariance-2x8x7x6-k3-s1-block8-bfloat16": 2 * (672 + 72**2),
    }
