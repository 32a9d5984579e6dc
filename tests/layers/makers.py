"""A layer of each kind, and inputs for it: what tests of all layers are run on."""

import pytest
import torch

from ndbench.layers import ChannelDeconv1d, ChannelDeconv2d, ChannelDeconv3d, Deconv2d, DeconvLinear

MAKERS = {
    "Deconv2d": (lambda **o: Deconv2d(4, 3, 3, padding=1, **o), (5, 4, 7, 6)),
    "separate": (lambda **o: Deconv2d(4, 4, 1, groups=2, **o), (5, 4, 7, 6)),
    "DeconvLinear": (lambda **o: DeconvLinear(4, 3, block=2, **o), (30, 4)),
    "ChannelDeconv1d": (lambda **o: ChannelDeconv1d(4, **{"eps": 1e-5, **o}), (9, 4, 6)),
    "rows of channels": (lambda **o: ChannelDeconv1d(4, block=2, **{"eps": 1e-5, **o}), (30, 4)),
    "ChannelDeconv2d": (lambda **o: ChannelDeconv2d(4, affine=True, **{"eps": 1e-5, **o}), (5, 4, 7, 6)),
    "ChannelDeconv3d": (lambda **o: ChannelDeconv3d(4, block=2, pooled=False, **o), (3, 4, 4, 6, 7)),
}
# how the compiler traces autograd functions
compiles = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
every_layer = pytest.mark.parametrize(("make", "shape"), MAKERS.values(), ids=MAKERS)


def batches(shape, count, dtype=torch.float64):
    generator = torch.Generator().manual_seed(5)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype) + k for k in range(count)]
