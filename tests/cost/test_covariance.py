import math
from dataclasses import replace
from functools import cache, partial

import pytest
import torch

from ndbench.cost import covariance as model
from ndbench.cost.counting import count
from ndbench.cost.model import Cost
from ndbench.covariance import Patches, im2col, lagged, shifted, windows
from ndbench.covariance.adjoint_pixels import lagged_adjoint, shifted_adjoint
from ndbench.covariance.buffered import LARGE
from ndbench.covariance.choice import fastest
from ndbench.covariance.im2col import im2col_adjoint
from ndbench.covariance.work import LaggedWork
from ndbench.operations import patch_covariance
from tests.cost.geometries import Geometry, geometries, large

GEOMETRIES = geometries(200)


def recorded(x):
    return x.requires_grad_()


def adjoint_of(function, geometry, dtype=torch.float32, of=lambda x: x):
    x = geometry.x().to(dtype)
    mean, cov = im2col(x, geometry.patches)
    upstream = torch.ones_like(mean), torch.ones_like(cov)
    return partial(function, of(x), mean, *upstream, geometry.patches)


RUNS = {
    "im2col": lambda g: partial(im2col, recorded(g.x()), g.patches),
    "buffered": lambda g: partial(im2col, g.x(), g.patches),
    "shifted": lambda g: partial(shifted, g.x(), g.patches),
    "lagged": lambda g: partial(lagged, g.x(), g.patches),
    "windows": lambda g: partial(windows, g.x(), g.patches),
    "im2col_adjoint": lambda g: adjoint_of(im2col_adjoint, g, of=recorded),
    "buffered_adjoint": lambda g: adjoint_of(im2col_adjoint, g),
    "shifted_adjoint": lambda g: adjoint_of(shifted_adjoint, g),
    "lagged_adjoint": lambda g: adjoint_of(lagged_adjoint, g),
    "lagged_adjoint64": lambda g: adjoint_of(lagged_adjoint, g, torch.float64),
}
MODELS = {
    **model.FORWARD,
    **{f"{name}_adjoint": of for name, of in model.ADJOINT.items()},
    "lagged_adjoint64": partial(model.lagged_adjoint, dtype=torch.float64),
}


@cache
def counted(name: str) -> tuple[int, ...]:
    return tuple(count(RUNS[name](geometry)).flops for geometry in GEOMETRIES)


def misjudged(name, of) -> list[Geometry]:
    """Where a model differs from the count of a run."""
    judged = zip(GEOMETRIES, counted(name), strict=True)
    return [geometry for geometry, flops in judged if of(geometry.shape, geometry.patches).products != flops]


def test_both_branches_of_the_definition_are_among_large_kernels():
    assert {g.patches.kernel_size for g in large()} == {(k, k) for k in (3, 5, 7, 9)}
    assert {model.order(g.shape, g.patches) >= LARGE for g in large()} == {True, False}


@pytest.mark.parametrize("name", ["im2col", "buffered", "shifted", "lagged", "windows"])
def test_flops_of_large_kernels(name):
    for g in large():
        assert MODELS[name](g.shape, g.patches).products == count(RUNS[name](g)).flops


@pytest.mark.parametrize("name", RUNS)
def test_flops_are_those_that_are_counted(name):
    assert misjudged(name, MODELS[name]) == []


def without_offsets(of, shape, patches):
    cost = of(shape, patches)
    return replace(cost, products=cost.products // patches.offsets)


def one_product_more(of, shape, patches):
    A, m, _ = model.classes_of(shape, patches).product_shape
    return of(shape, patches) + Cost(2 * model.rows(shape, patches) * A * m**2)


def one_product_less(of, shape, patches):
    A, m, _ = model.classes_of(shape, patches).product_shape
    return of(shape, patches) + Cost(-2 * A * m**2)


@pytest.mark.parametrize("wrong", [without_offsets, one_product_more, one_product_less])
@pytest.mark.parametrize("name", RUNS)
def test_wrong_models_are_caught(name, wrong):
    assert len(misjudged(name, partial(wrong, MODELS[name]))) > 100


@pytest.mark.parametrize("name", ["shifted", "lagged"])
def test_a_model_without_the_assembly_is_caught(name):
    bare = {
        "shifted": lambda shape, patches: model.shifted(shape, patches) + Cost(-model.assembly(shape, patches)),
        "lagged": lambda shape, patches: Cost(LaggedWork.of(shape, patches).flops),
    }
    assert len(misjudged(name, bare[name])) > 100


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("channels", [29, 30, 32])
def test_blocks_of_a_triangle(channels, pooled):
    # orders 261, 270 and 288 in steps of 66, 68 and 72, of which the last may be shorter
    geometry = Geometry((2, 2 * channels, 5, 4), Patches.of(3, block=channels, pooled=pooled))
    found = count(RUNS["buffered"](geometry)).flops
    F, rows = 9 * channels, 2 * 3 * 2
    step = math.ceil(F / 4)
    heights = [step, step, step, F - 3 * step]
    assert found == 2 * 2 * rows * sum(height * (F - i * step) for i, height in enumerate(heights))
    assert model.buffered(geometry.shape, geometry.patches) == Cost(found)
    assert found != model.im2col(geometry.shape, geometry.patches).products


@pytest.mark.parametrize("shape", [(4, 8, 24, 24), (4, 8, 6, 6)])
def test_the_public_operation_costs_what_its_algorithm_does(shape):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0)).requires_grad_()
    patches = Patches.of(3, padding=1, block=4)
    name = {"im2col": "buffered", "lagged": "lagged"}[fastest(shape, patches)]

    def step():
        _, cov = patch_covariance(x, 3, padding=1, block=4, eps=0.1)
        cov.sum().backward()

    models = model.forward(name, shape, patches), model.adjoint(name, shape, patches)
    assert count(step).flops == sum(cost.flops for cost in models)


@pytest.mark.parametrize("k", [1, 3, 5, 7])
def test_the_interior_of_lagged_is_a_half_plane_of_lags(k):
    # the largest part, for an image much larger than the kernel: (2k - 1)^2 + 1 halves, of 2 N H W C B each
    shape, patches = (1, 4, 400, 400), Patches.of(k, padding=k // 2, block=4)
    products = ((2 * k - 1) ** 2 + 1) / 2
    work = LaggedWork.of(shape, patches)
    assert work.interior.pieces == products
    assert 0.95 * products < work.flops / (2 * 400 * 400 * 4 * 4) <= products
    assert work.border.pixels <= 0.06 * work.interior.pixels


def test_where_lags_outgrow_the_law_of_the_paper():
    # docs/scaling.md: many channels in small blocks, in an image smaller than the kernel
    flops = model.lagged((1, 512, 8, 8), Patches.of(9, padding=4, block=2)).flops
    assert flops / (2 * 8 * 8 * 9**2 * 512 * 2 + 2 * (9**2 * 2) ** 3) == pytest.approx(10.8, abs=0.05)


def test_bytes_are_read_and_written_once():
    # with stride 2 and kernel 1 a quarter of the pixels is read
    shape, patches = (2, 3, 8, 6), Patches.of(1, stride=2)
    assert model.read(shape, patches) == 2 * 3 * 4 * 3
    forward, backward = (function("im2col", shape, patches, 8) for function in (model.forward, model.adjoint))
    assert forward.moved == 8 * (2 * 3 * 12 + 3 + 9)
    assert backward.moved == 8 * (2 * 3 * 12 + 2 * 3 * 48 + 3 + 3 + 9)
