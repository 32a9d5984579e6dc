import math
import re

import pytest

from ndbench.cost.layer import convolution
from ndbench.cost.networks import NETWORKS, convolutions

PUBLISHED = {"vgg16": (13, 14_710_464), "resnet18": (20, 11_166_912), "densenet121": (120, 6_870_208)}
"""Convolutions, and their weights: what the networks have without biases, normalizations and linear layers."""

MULTIPLICATIONS = {"vgg16": 15.35e9, "resnet18": 1.81e9, "densenet121": 2.83e9}
"""Of one image of 224 x 224, as published."""


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_has_the_weights_that_were_published(name):
    found = [conv for _, conv in convolutions(name, (1, 3, 224, 224))]
    weights = sum(conv.outputs * conv.shape[1] * math.prod(conv.kernel_size) for conv in found)
    assert (len(found), weights) == PUBLISHED[name]
    assert sum(convolution(conv).flops for conv in found) / 2 == pytest.approx(MULTIPLICATIONS[name], rel=3e-3)


@pytest.mark.parametrize(("name", "last"), [("vgg16", 14), ("resnet18", 7), ("densenet121", 7)])
def test_the_last_convolution_sees_the_image_that_was_published(name, last):
    *_, (_, conv) = convolutions(name, (2, 3, 224, 224))
    assert conv.shape[0] == 2
    assert conv.output_size == (last, last)


@pytest.mark.parametrize("name", NETWORKS)
def test_only_the_first_convolution_is_without_gradient(name):
    found = convolutions(name, (1, 3, 32, 32))
    assert [conv.input_gradient for _, conv in found] == [False] + [True] * (len(found) - 1)
    assert len({layer for layer, _ in found}) == len(found)


@pytest.mark.parametrize(
    ("name", "size", "layer", "given"),
    [
        ("vgg16", 8, "conv5_1", "1x512x0x0"),
        ("densenet121", 8, "block3_1.1", "1x256x0x0"),
        ("resnet18", 0, "conv1", "1x3x0x0"),
    ],
)
def test_images_that_become_too_small_are_refused(name, size, layer, given):
    said = f"{layer}: the images are too small for the network, whose input here is {given}; give larger ones"
    with pytest.raises(ValueError, match=re.escape(said)):
        convolutions(name, (1, 3, size, size))
