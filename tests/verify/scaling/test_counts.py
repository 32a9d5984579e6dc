"""Interior, border and what is done once a call, from nothing but counts."""

import math
from dataclasses import replace

import pytest
import torch

from ndbench.catalog import CATALOG, Implementation
from ndbench.laws import PatchLaw, RootLaw
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.problems import InteriorScaling, MemoryScaling, OrderScaling, PatchScaling, several
from ndbench.verify.verdict import NotRun

COVARIANCE = {i.name: i for i in CATALOG if i.operation == "covariance"}
ROOTS = {i.name: i for i in CATALOG if i.operation == "inverse-sqrt"}
INTERIOR = InteriorScaling((1, 2, 3))


@pytest.mark.parametrize("k", INTERIOR.values)
@pytest.mark.parametrize(
    ("name", "products"),
    [
        ("im2col", lambda k: k**4),
        ("windows", lambda k: k**4),
        ("shifted", lambda k: k**2 * (k**2 + 1) // 2),
        ("lagged", lambda k: ((2 * k - 1) ** 2 + 1) // 2),
    ],
)
def test_the_interior_is_exact(name, products, k):
    interior, border, _ = counts.parts(COVARIANCE[name], INTERIOR, k)
    assert interior == 2 * INTERIOR.C**2 * products(k)
    assert border <= 0


@pytest.mark.parametrize("k", INTERIOR.values)
def test_the_parts_add_up_to_the_count(k):
    for images, step in ((1, 0), (1, 2), (2, 1)):
        problem = INTERIOR.at(k, images, step)
        interior, border, once = counts.parts(COVARIANCE["im2col"], INTERIOR, k)
        outputs = (problem.H + 2 * (k // 2) - k) + 1
        assert border == once == 0
        assert counts.flops(COVARIANCE["im2col"], problem) == images * interior * outputs**2


@pytest.mark.parametrize("sampled", [False, True])
def test_lags_take_what_their_model_does(sampled):
    problem = InteriorScaling((1, 2, 3), sampled)
    for k in problem.values:
        assert counts.parts(COVARIANCE["lagged"], problem, k) == counts.parts_of_lags(problem, k)


def polynomial(I, b, e, O):  # noqa: E741 - the letters of counts.parts
    """An implementation of so many flops, as products of matrices of one column."""

    def function(x, k, **how):
        n, s = len(x), x.shape[2] + 2 * (k // 2) - k + 1
        flops = n * (I * s * s + b * s + e) + O(s)
        return torch.ones(1, flops // 2) @ torch.ones(flops // 2, 1)

    return Implementation(f"{I} {b} {e}", "covariance", function)


@pytest.mark.parametrize(("I", "b", "e"), [(8, 0, 0), (8, 6, 2), (2, 0, 400)])
def test_parts_are_found_whatever_is_done_once_a_call(I, b, e):  # noqa: E741
    found = counts.parts(polynomial(I, b, e, lambda s: 4 * s**3), INTERIOR, 3)
    s = 2 * 3 + 2 + 2 * 1 - 3 + 1
    assert found == (I, b * s + e, 4 * s**3)


def test_what_the_counter_does_not_see_is_not_judged():
    with pytest.raises(NotRun, match="in no product that PyTorch's counter sees"):
        counts.require_counted(counts.flops(ROOTS["scipy_sqrtm"], OrderScaling((3, 5)).at(5)))
    with pytest.raises(NotRun, match="no products of Triton kernels"):
        counts.flops(COVARIANCE["lagged.triton.ieee"], INTERIOR.at(1, 1, 0))


def test_nothing_is_recorded_while_counting():
    seen = []
    watching = Implementation("watching", "inverse-sqrt", lambda A: seen.append(torch.is_grad_enabled()) or A @ A)
    assert counts.flops(watching, OrderScaling((3, 5)).at(5)) == 2 * 5**3
    assert seen == [False]


def test_memory_is_the_peak_of_a_call():
    copying = Implementation("copying", "covariance", lambda x, k, **how: x + x)
    problem = MemoryScaling("k", (1,)).at(1, 16)
    assert counts.memory(copying, problem) == 4 * 16 * 16


@pytest.mark.parametrize("law", [PatchLaw(4, 2), PatchLaw(2, 0)])
@pytest.mark.parametrize("k", [1, 3, 4])
def test_the_bound_is_that_of_images_and_of_what_is_done_once(law, k):
    problem = PatchScaling("k", (k, k + 1)).at(k)
    one, two, three = (budgets.flops(law, replace(problem, N=N)) for N in (1, 2, 3))
    assert two - one == three - two == 2 * 16 * law.products(k) * (16 if k % 2 or law.flops == 2 else 17) ** 2
    assert 2 * one - two == budgets.once(law, problem)


def test_rectangles_are_refused():
    problem = replace(PatchScaling("k", (1, 2)).at(2), kernel_size=(2, 3))
    with pytest.raises(TypeError, match=r"square kernels, strides and paddings; got \(2, 3\)"):
        budgets.once(PatchLaw(4, 2), problem)


def test_pairs_of_images_hold_all_but_one_size():
    sides = MemoryScaling("side", (8, 12, 16))
    assert [(small.H, large.H) for _, (small, large) in sides.pairs] == [(8, 12), (12, 16)]
    assert sides.sizes == [144.0, 256.0]
    for variable, field in (("k", "kernel_size"), ("G", "block"), ("C", "C")):
        family = MemoryScaling(variable, (1, 4), sides=(8, 16), C=8)
        assert [[getattr(one, field) for one in pair] for _, pair in family.pairs] == [[1, 1], [4, 4]]
    assert sides.name == "scaling-memory-side8.12.16-k3-C1-G1-float32"
    assert MemoryScaling("G", (1, 4), C=8).name == "scaling-memory-G1.4-k3-C8-side160.224-float32"


def test_memory_of_kernels_is_not_judged_where_they_cannot_run(monkeypatch):
    monkeypatch.setattr(counts, "interpreted", lambda: False)
    kernel = replace(COVARIANCE["lagged.triton.ieee"], devices=("interpreter",))
    with pytest.raises(NotRun, match="interpreter alone shows what a kernel asks for"):
        counts.require_recorded(kernel, INTERIOR.at(1, 1, 0))


def test_memory_in_no_record_is_not_judged():
    with pytest.raises(NotRun, match="in no product"):
        counts.require_recorded(ROOTS["scipy_sqrtm"], OrderScaling((3, 5)).at(5))
    with pytest.raises(NotRun, match="numpy's memory is in no record"):
        counts.require_recorded(COVARIANCE["windows"], INTERIOR.at(1, 1, 0))


def test_budgets_of_memory():
    assert [budgets.copies(PatchLaw(2, 0), k) for k in (1, 9)] == [8, 8]
    assert [budgets.copies(PatchLaw(4, 2), k) for k in (1, 9)] == [10, 170]
    assert (budgets.matrices(RootLaw(12)), budgets.matrices(RootLaw())) == (44, math.inf)


def test_names_tell_families_apart():
    assert several((1, 2, 3, 4)) == "1to4"
    assert several((1, 3)) == "1.3"
    assert several((1, 2)) == "1.2"
    assert PatchScaling("G", (2, 4), C=8).name == "scaling-G2.4-k3-C8-side16-float32"
    assert InteriorScaling((1, 2, 3), sampled=True).name == "scaling-interior-k1to3-stridek-C2-float32"
    assert OrderScaling((2, 8)).name == "scaling-n2.8-float32"


def test_one_size_grows_and_the_others_stay():
    for variable, field in (("k", "kernel_size"), ("G", "block"), ("C", "C"), ("side", "H")):
        family = PatchScaling(variable, (4, 8), C=8)
        small, large = family.at(4), family.at(8)
        assert (getattr(small, field), getattr(large, field)) == (4, 8)
        assert {small.C, large.C} == ({4, 8} if variable == "C" else {8})
    assert PatchScaling("side", (4, 8)).sizes == [16.0, 64.0]
