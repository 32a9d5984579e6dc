"""What a covariance and its gradient hold beside x and what they return: at most a tenth of x and the size of mean and
covariance, or 4 MiB.

Nothing runs: on the device "meta" tensors have a shape and no memory, so that images may be of any size.
"""

from itertools import product

import pytest
import torch

from ndbench import patch_covariance
from ndbench.covariance import Patches
from ndbench.kernels import covariance
from ndbench.kernels.covariance import (
    adjoint_plan,
    choice,
    classes,
    columns,
    im2col_products,
    lagged_plan,
    lagged_pooling,
    lagged_room,
)
from ndbench.kernels.covariance.adjoint import adjoint
from tests.kernels.allocations import most_held
from tests.kernels.launches import kept_from_running

LEAST = 2**22
SIZES = [(1, 64, 7, 7), (32, 64, 32, 32), (256, 64, 56, 56), (64, 2048, 7, 7), (8, 33, 16, 20), (2, 512, 14, 14)]
SIZES += [(256, 3, 224, 224), (16, 128, 28, 28)]
KERNELS = [{"kernel_size": 1}, {"kernel_size": 3, "padding": 1}, {"kernel_size": 7, "padding": 3, "stride": 2}]
KERNELS += [{"kernel_size": 7, "padding": 3}, {"kernel_size": (3, 2), "dilation": 2}]
GROUPINGS = [{"pooled": True}, {"pooled": False}, {"pooled": True, "grouping": "interleaved"}]
LARGEST = 30_000
"""Columns of a covariance: one of more is 4 GB."""


def geometries():
    for shape, kernel, block, grouping in product(SIZES, KERNELS, (None, 64, 16, 8, 1), GROUPINGS):
        if shape[1] % (block or 1) == 0 and (block is not None or grouping == GROUPINGS[0]):
            patches = Patches.of(**kernel, block=block, **grouping)
            if order(shape, patches) <= LARGEST:
                yield shape, patches


def order(shape, patches):
    return shape[1] * patches.offsets // patches.groups(shape[1])


def outputs(shape, patches):
    """Bytes of mean and covariance in float32."""
    F = order(shape, patches)
    return 4 * (1 if patches.pooled else patches.groups(shape[1])) * F * (F + 1)


def bound(x, patches):
    return max(x.nbytes // 10 + outputs(x.shape, patches), LEAST)


TABLES = (
    *(columns.Columns.of, classes.ClassTables.of, lagged_plan.LaggedPlan.of, adjoint_plan.AdjointPlan.of),
    *(lagged_pooling.places_of, im2col_products.upper_tiles, im2col_products.reciprocals),
)


def beside(function, returned):
    """The most bytes that a call holds at once beside what it returns, tables that it makes and keeps among them."""
    for tables in TABLES:
        tables.cache_clear()
    return most_held(function)[0] - returned


@pytest.fixture(autouse=True)
def _nothing_runs(monkeypatch):
    kept_from_running(monkeypatch)


def held_forward(algorithm, x, patches):
    return beside(lambda: covariance.ALGORITHMS[algorithm](x, patches, "ieee"), outputs(x.shape, patches))


def held_backward(x, patches):
    lead = () if patches.pooled else (patches.groups(x.shape[1]),)
    F = order(x.shape, patches)
    mean, dcov = x.new_empty((*lead, F), dtype=torch.float32), x.new_empty((*lead, F, F), dtype=torch.float32)
    return beside(lambda: adjoint(x, mean, mean, dcov, patches, precision="ieee"), x.nbytes)


def inputs():
    # every seventh is enough: of shapes, kernels, blocks and groupings all are among them
    for number, (shape, patches) in enumerate(list(geometries())[::7]):
        dtype = (torch.float32, torch.float32, torch.float16)[number % 3]
        yield torch.empty(shape, dtype=dtype, device="meta"), patches


def test_im2col():
    for x, patches in inputs():
        assert held_forward("im2col", x, patches) <= bound(x, patches), (x.shape, patches)


def test_lagged():
    exceptions = 0
    for x, patches in inputs():
        tables = classes.ClassTables.of(patches, x.shape[1], torch.device("cpu"))
        held = held_forward("lagged", x, patches)
        if lagged_room.fits(tuple(x.shape), x.element_size(), patches, tables):
            assert held <= bound(x, patches), (x.shape, patches)
        else:
            # one partial sum of each piece, means and tables
            pieces = len(lagged_plan.chunks_of(patches, tuple(x.shape), 1))
            means = 64 * x.shape[1] * patches.offsets
            assert held <= pieces * lagged_room.least(tables) + means + LEAST, (x.shape, patches)
            assert choice.fewest(tuple(x.shape), patches, x.element_size()) == "im2col"
            exceptions += 1
    assert exceptions


def test_gradient():
    for x, patches in inputs():
        assert held_backward(x, patches) <= bound(x, patches), (x.shape, patches)


def test_the_public_function(device):
    x, patches = torch.zeros(32, 64, 14, 14, device=device), Patches.of(7, padding=3)
    options = {"padding": 3, "eps": 1e-5, "algorithm": "im2col", "backend": "triton"}
    most, _ = most_held(lambda: patch_covariance(x, 7, **options), x.device.type)
    assert most - outputs(x.shape, patches) <= bound(x, patches)


def test_more_than_the_bound_is_noticed(monkeypatch):
    monkeypatch.setattr(im2col_products, "room", lambda *_: 2**34)
    with pytest.raises(AssertionError):
        test_im2col()
    monkeypatch.setattr(lagged_room, "room", lambda *_: 2**34)
    with pytest.raises(AssertionError):
        test_lagged()
    monkeypatch.setattr("ndbench.kernels.covariance.adjoint.numbers", lambda *_: 2**32)
    with pytest.raises(AssertionError):
        test_gradient()
