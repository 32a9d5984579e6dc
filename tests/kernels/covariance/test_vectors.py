"""Channels that are loaded together where they lie side by side: where they may be, and that it changes no bit."""

import pytest
import torch

from ndbench.covariance import Patches
from ndbench.kernels.covariance import lagged
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.lagged_products import channels_together


def together(x, patches):
    return channels_together(x, ClassTables.of(patches, x.shape[1], x.device))


def channels_last(x, padding=0):
    """A copy whose pixels are so many numbers further apart than the channels take."""
    shape = x.shape[0], x.shape[2], x.shape[3], x.shape[1] + padding
    wide = torch.empty(shape, dtype=x.dtype, device=x.device).permute(0, 3, 1, 2)[:, : x.shape[1]]
    return wide.copy_(x)


def numbers(channels, dtype=torch.float32):
    return torch.randn(1, channels, 3, 4, generator=torch.Generator().manual_seed(channels)).to(dtype)


@pytest.mark.parametrize(("channels", "block"), [(8, 8), (16, 4), (40, 20)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_vectors_change_no_bit(channels, block, dtype, device):
    x, patches = numbers(channels, dtype).to(device), Patches.of(3, padding=1, block=block)
    vectors, single = channels_last(x, 8), channels_last(x, 1)
    assert together(single, patches) == 1
    assert together(vectors, patches) == (16 // dtype.itemsize if block * dtype.itemsize % 16 == 0 else 1)
    for quick, slow in zip(*(lagged(y, patches, "ieee") for y in (vectors, single)), strict=True):
        assert torch.equal(quick, slow)


def test_where_channels_may_be_loaded_together():
    x, patches = numbers(16), Patches.of(3, padding=1, block=8)
    assert together(channels_last(x), patches) == 4
    # not aligned, not side by side, or not whole vectors of a class
    assert together(channels_last(x, 8)[:, :, :, 1:], patches) == 4
    shifted = channels_last(numbers(17), 15)[:, 1:]
    assert together(shifted, patches) == 1
    assert together(x, patches) == 1
    assert together(channels_last(x), Patches.of(3, padding=1, block=8, grouping="interleaved")) == 1
    assert together(channels_last(numbers(12)), Patches.of(3, padding=1, block=6)) == 1
