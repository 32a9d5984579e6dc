"""The models of executed products against the dots that the interpreter executes, launch by launch."""

from dataclasses import replace
from functools import partial

import pytest
import torch

from ndbench.catalog import CATALOG
from ndbench.cost import kernels as model
from ndbench.cost.counting import count_dots
from ndbench.covariance import Patches
from ndbench.kernels import covariance, newton_schulz
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.denman_beavers import ProductFormKernels, tiles
from ndbench.kernels.runtime import interpreted
from ndbench.operations import inverse_sqrt, patch_covariance
from ndbench.roots.adjoints import Coupled, ProductForm
from ndbench.roots.coefficients import LIMITS
from ndbench.verify.scaling import launches
from ndbench.verify.scaling.problems import LAUNCHES, LAUNCHES_OF_ROOTS

pytestmark = pytest.mark.skipif(not interpreted(), reason="what is executed is counted in the interpreter")

GEOMETRIES = [
    ((2, 4, 6, 5), Patches.of(3, padding=1, block=2)),
    ((1, 6, 9, 8), Patches.of((2, 3), stride=(1, 2), dilation=(1, 2), block=3, pooled=False)),
    ((3, 4, 7, 7), Patches.of(2, padding=1, stride=2, block=2, grouping="interleaved")),
    # more rows than a chunk holds, and classes of more channels than a tile
    ((1, 2, 38, 27), Patches.of(1)),
    ((1, 66, 1, 2), Patches.of(1)),
]
COUPLED = {
    "cubic": Coupled((LIMITS[3],) * 2),
    "quintic": Coupled((LIMITS[5],) * 2),
    "one": Coupled((LIMITS[3],)),
}
PRODUCT_FORM = ProductForm(steps=2, scaled_steps=1)
ROOTS_OF_MODELS = {"coupled": "newton_schulz.T5.triton.ieee", "product_form": "denman_beavers.T9s4.triton.ieee"}
"""For each model of roots an entry that is held to it."""


def executed(function):
    """Names and flops of the launches that multiply."""
    return [(launch.kernel, launch.flops) for launch in count_dots(function) if launch.flops]


def multiplying(launches):
    return [launch for launch in launches if launch[1]]


def input_of(shape, memory_format):
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    return x.to(memory_format=memory_format)


def matrices(n, count=1):
    return torch.eye(n).repeat(count, 1, 1)


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize(("shape", "patches"), GEOMETRIES, ids=str)
def test_covariances(shape, patches, memory_format):
    x = input_of(shape, memory_format)
    mean, cov = covariance.im2col(x, patches, "ieee")
    assert executed(lambda: covariance.im2col(x, patches, "ieee")) == model.im2col(x, patches)
    assert executed(lambda: covariance.lagged(x, patches, "ieee")) == model.lagged(x, patches)
    found = executed(lambda: adjoint(x, mean, mean, cov, patches, precision="ieee"))
    assert found == model.covariance_adjoint(x, patches)


@pytest.mark.parametrize("n", [5, 20, 40, 100, 130])
@pytest.mark.parametrize("name", COUPLED)
def test_coupled_steps(n, name):
    kernels = newton_schulz.CoupledKernels(COUPLED[name], "ieee")
    A = matrices(n, 1 if n > 64 else 2)
    assert executed(lambda: kernels.run(A)) == multiplying(model.coupled(A, COUPLED[name]))
    assert executed(lambda: kernels.pull_back(A, (), A)) == multiplying(model.coupled_adjoint(A, COUPLED[name]))


def test_parts_of_a_batch_are_launches_of_their_own(monkeypatch):
    monkeypatch.setattr(newton_schulz.tiled, "SCRATCH_BYTES", 1)
    A = matrices(130, 2)
    found = executed(lambda: newton_schulz.CoupledKernels(COUPLED["cubic"], "ieee").run(A))
    assert found == multiplying(model.coupled(A, COUPLED["cubic"]))
    # two groups of phases for each step but the last, which has one
    assert len(found) == 2 * 3


@pytest.mark.parametrize("n", [5, 30, 40, 70])
def test_product_form(n):
    kernels = ProductFormKernels(PRODUCT_FORM, "ieee", keep=True)
    A = matrices(n, 2)
    D, *saved = kernels.run(A)
    assert executed(lambda: kernels.run(A)) == model.product_form(A, PRODUCT_FORM)
    assert executed(lambda: kernels.pull_back(A, tuple(saved), D)) == model.product_form_adjoint(A, PRODUCT_FORM)


def test_tiles_of_another_size(monkeypatch):
    monkeypatch.setattr(tiles, "TILES_TO_FILL_A_DEVICE", 1)
    test_product_form(70)


def one_dot_more(of, *arguments):
    kernel, flops = of(*arguments)[0]
    return [(kernel, flops + model.dot(16, 16, 16)), *of(*arguments)[1:]]


@pytest.mark.parametrize("name", ["im2col", "lagged", "covariance_adjoint"])
def test_a_wrong_model_of_a_covariance_is_caught(name, monkeypatch):
    monkeypatch.setattr(model, name, partial(one_dot_more, getattr(model, name)))
    with pytest.raises(AssertionError):
        test_covariances(*GEOMETRIES[0], torch.contiguous_format)


@pytest.mark.parametrize("name", ["coupled", "coupled_adjoint"])
def test_a_wrong_model_of_steps_is_caught(name, monkeypatch):
    monkeypatch.setattr(model, name, partial(one_dot_more, getattr(model, name)))
    with pytest.raises(AssertionError):
        test_coupled_steps(5, "cubic")


@pytest.mark.parametrize("name", ["product_form", "product_form_adjoint"])
def test_a_wrong_model_of_the_product_form_is_caught(name, monkeypatch):
    monkeypatch.setattr(model, name, partial(one_dot_more, getattr(model, name)))
    with pytest.raises(AssertionError):
        test_product_form(5)


def test_eliminations_are_of_leading_order():
    assert model.elimination(matrices(5, 2), PRODUCT_FORM) == 3 * 2 * 2 * 5 * 16**2
    assert model.elimination(matrices(70), PRODUCT_FORM) == 0


def test_factorizations_are_of_leading_order():
    assert model.factorization(matrices(90, 3), PRODUCT_FORM) == 3 * 2 * 4 * 90**3 // 3
    assert model.factorization(matrices(5), PRODUCT_FORM) == 0


@pytest.mark.parametrize("algorithm", ["im2col", "lagged"])
def test_the_suite_compares_its_model_with_what_is_executed(algorithm, monkeypatch):
    kernel = next(i for i in CATALOG if i.name == f"{algorithm}.triton.ieee")
    kernel = replace(kernel, devices=("interpreter",))
    assert launches.patches(kernel, LAUNCHES["quick"][0]).measured < 2
    launches.follows_the_model.cache_clear()
    right = getattr(model, algorithm)
    monkeypatch.setattr(model, algorithm, lambda *arguments: [*right(*arguments), ("one more", 2 * 16**3)])
    assert launches.patches(kernel, LAUNCHES["quick"][0]).measured == float("inf")
    launches.follows_the_model.cache_clear()


@pytest.mark.parametrize("name", ["coupled", "product_form"])
def test_the_suite_compares_its_model_of_roots_with_what_is_executed(name, monkeypatch):
    kernel = next(i for i in CATALOG if i.name == ROOTS_OF_MODELS[name])
    kernel = replace(kernel, devices=("interpreter",))
    assert launches.orders(kernel, LAUNCHES_OF_ROOTS["quick"][0]).measured < 2
    launches.follows_the_model.cache_clear()
    monkeypatch.setattr(model, name, partial(one_dot_more, getattr(model, name)))
    assert launches.orders(kernel, LAUNCHES_OF_ROOTS["quick"][0]).measured == float("inf")
    launches.follows_the_model.cache_clear()


def test_the_suite_catches_roots_with_a_hidden_step():
    kernel = next(i for i in CATALOG if i.name == "newton_schulz.T5.triton.ieee")
    how = kernel.function.keywords
    function = partial(lambda A, **other: inverse_sqrt(A, **(other | {"steps": 6})), **how)
    kernel = replace(kernel, devices=("interpreter",), function=function)
    assert launches.orders(kernel, LAUNCHES_OF_ROOTS["quick"][0]).measured == float("inf")


def repeated(times):
    """A kernel that computes its covariance so many times."""

    def function(x, k, *, algorithm, **how):
        found = [patch_covariance(x, k, algorithm=algorithm, backend="triton", **how) for _ in range(times(x, k, how))]
        return found[-1]

    return partial(function, algorithm="lagged")


@pytest.mark.parametrize(
    "times",
    [
        lambda x, k, how: 1 + max(k) // 2 if isinstance(k, tuple) else k,
        lambda x, k, how: x.shape[2],
        lambda x, k, how: how["block"] or 2,
    ],
    ids=["k", "H", "G"],
)
def test_the_suite_catches_kernels_with_a_hidden_factor(times):
    kernel = next(i for i in CATALOG if i.name == "lagged.triton.ieee")
    kernel = replace(kernel, devices=("interpreter",), function=repeated(times))
    assert launches.patches(kernel, LAUNCHES["quick"][0]).measured == float("inf")
