"""Images with channels last, against the columns of `buffered` and the definition."""

import sys

import pytest
import torch

from ndbench.covariance import Patches, im2col
from ndbench.covariance.buffered import buffered, buffered_adjoint, image_sum
from ndbench.covariance.channels_last import by_rows, by_rows_adjoint, has_runs, swapped
from ndbench.covariance.im2col import im2col_adjoint

GEOMETRIES = {
    "plain": {"kernel_size": 3},
    "layer": {"kernel_size": 3, "padding": 1, "stride": 3},
    "crossed": {"kernel_size": (2, 3), "padding": (2, 1), "stride": (1, 2), "dilation": (2, 1)},
    "pixels": {"kernel_size": 1, "stride": 2},
    "larger than the image": {"kernel_size": (5, 3), "padding": (3, 2), "stride": 2},
}


def input_of(dtype=torch.float64, channels=8):
    x = torch.randn(7, channels, 6, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))
    return x.contiguous(memory_format=torch.channels_last)


@pytest.fixture(params=[1, 3000, 2**20], ids=["image by image", "some", "all"])
def entries(request, monkeypatch):
    """Buffers of one image, of some, and of all of them."""
    monkeypatch.setattr("ndbench.covariance.buffered.ENTRIES", request.param)
    monkeypatch.setattr("ndbench.covariance.buffered.FEWEST", 2)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("block", [None, 4, 2])
@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_as_the_columns(entries, geometry, block, pooled):
    x, patches = input_of(), Patches.of(**geometry, block=block, pooled=pooled)
    mean, cov = by_rows(x, patches)
    torch.testing.assert_close((mean, cov), buffered(x.contiguous(), patches), rtol=1e-12, atol=1e-12)
    assert torch.equal(cov, cov.mT)
    generator = torch.Generator().manual_seed(1)
    gradients = [torch.randn(part.shape, dtype=x.dtype, generator=generator) for part in (mean, cov)]
    found = by_rows_adjoint(x, mean, *gradients, patches)
    wanted = buffered_adjoint(x.contiguous(), mean, *gradients, patches)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    assert found.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_large_mean_costs_no_digits(entries, offset):
    x, patches = input_of(torch.float32) + offset, Patches.of(3, block=4)
    _, cov = by_rows(x, patches)
    true = im2col(x.double(), patches)[1]
    assert (cov - true).abs().max() <= 1e-6 * true.abs().max()


def test_who_is_served():
    x, patches = input_of(channels=32), Patches.of(3, block=16)
    assert has_runs(x, patches)
    assert not has_runs(x.contiguous(), patches)
    assert not has_runs(x, Patches.of(3, block=8))  # short runs
    assert not has_runs(x, Patches.of(3, block=32))  # order 288
    assert not has_runs(x, Patches.of(3, block=16, grouping="interleaved"))


def test_the_definition_takes_it(monkeypatch):
    """Nothing is called for the wrong layout, nor left out for the right one."""
    x, patches = input_of(channels=32), Patches.of(3, block=16, padding=1)
    wanted = im2col(x.contiguous(), patches)
    for name in ("buffered", "buffered_adjoint"):
        monkeypatch.setattr(sys.modules[im2col.__module__], name, None)
    mean, cov = im2col(x, patches)
    torch.testing.assert_close((mean, cov), wanted, rtol=1e-12, atol=1e-12)
    assert im2col_adjoint(x, mean, mean, cov, patches).shape == x.shape


def test_numbers_are_swapped_in_rows_and_columns():
    A = torch.arange(36.0).view(6, 6)
    order = torch.tensor([0, 3, 1, 4, 2, 5])  # (i, j) of 2 x 3 at (j, i)
    assert torch.equal(swapped(A, 2, 3), A[order][:, order])
    assert torch.equal(swapped(swapped(A, 2, 3), 3, 2), A)


@pytest.mark.parametrize("last", [True, False])
def test_the_sum_of_images(last):
    x = input_of() if last else input_of().contiguous()
    torch.testing.assert_close(image_sum(x), x.sum(0), rtol=1e-14, atol=1e-14)
