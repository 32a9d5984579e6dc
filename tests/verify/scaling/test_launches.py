"""Launches of Triton kernels: whether the law is kept is told by their exact model."""

from dataclasses import replace
from functools import partial

import pytest

from ndbench.catalog import CATALOG
from ndbench.verify.scaling import budgets, launches
from ndbench.verify.scaling.problems import LAUNCHES, LAUNCHES_OF_ROOTS, PADDED
from ndbench.verify.verdict import NotRun

ROOTS = [i for i in CATALOG if i.operation == "inverse-sqrt" and launches.has_launches(i) and i.precision == "ieee"]
ORDERS = LAUNCHES_OF_ROOTS["full"][0]
COVARIANCES = [i for i in CATALOG if i.operation == "covariance" and launches.has_launches(i)]
KERNELS = {i.name: i for i in COVARIANCES if i.precision == "ieee"}
IM2COL, LAGGED = KERNELS["im2col.triton.ieee"], KERNELS["lagged.triton.ieee"]
FAMILIES = LAUNCHES["full"]
PER_PIXEL, SAMPLED = FAMILIES[:2]


@pytest.fixture
def followed(monkeypatch):
    """As where kernels are interpreted, which follow their model: tests/kernels/test_executed.py."""
    monkeypatch.setattr(launches, "interpreted", lambda: True)
    monkeypatch.setattr(launches, "follows_the_model", lambda implementation: True)


def test_what_is_not_executed_is_not_judged():
    with pytest.raises(NotRun, match="interpreter alone shows"):
        launches.patches(LAGGED, PER_PIXEL)


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize("problem", FAMILIES, ids=lambda problem: problem.name)
@pytest.mark.parametrize("name", KERNELS)
def test_kernels_keep_their_laws(name, problem):
    assert launches.patches(KERNELS[name], problem).measured <= 1.1 < budgets.GROWTH


@pytest.mark.usefixtures("followed")
def test_the_report_says_which_keep_the_papers():
    said = {
        (kernel.name, problem.sampled): launches.patches(kernel, problem).evidence["paper's law"]
        for kernel in (IM2COL, LAGGED)
        for problem in (PER_PIXEL, SAMPLED)
    }
    assert said == {
        ("im2col.triton.ieee", False): "not kept",
        ("im2col.triton.ieee", True): "kept",
        ("lagged.triton.ieee", False): "kept",
        ("lagged.triton.ieee", True): "kept",
    }


@pytest.mark.usefixtures("followed")
def test_upper_tiles_and_lags_for_each_pixel():
    (im2col,), (lagged,) = (
        [launches.patches(kernel, PER_PIXEL).evidence["counts"].split()] for kernel in (IM2COL, LAGGED)
    )
    # k = 3: 9 x 10 / 2 tiles of 64 x 64; 13 lags less what they lose at the border
    assert float(im2col[2]) == 45
    assert 12.5 < float(lagged[2]) < 13


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize(
    ("family", "size"),
    [(FAMILIES[0], "kernel_size"), (FAMILIES[2], "block"), (FAMILIES[3], "C"), (FAMILIES[4], "H")],
    ids=["k", "G", "C", "H"],
)
@pytest.mark.parametrize("kernel", [IM2COL, LAGGED], ids=lambda kernel: kernel.name)
def test_a_hidden_factor_is_caught(kernel, family, size, monkeypatch):
    right = launches.modelled
    monkeypatch.setattr(launches, "modelled", lambda i, problem: right(i, problem) * getattr(problem, size))
    assert launches.patches(kernel, family).measured > budgets.GROWTH


@pytest.mark.usefixtures("followed")
def test_pairs_of_offsets_claimed_to_be_lags_are_caught():
    wrong = replace(LAGGED, function=IM2COL.function)
    assert launches.patches(wrong, PER_PIXEL).measured > budgets.GROWTH


@pytest.mark.usefixtures("followed")
def test_kernels_of_others_have_no_model():
    with pytest.raises(NotRun, match="no model"):
        launches.patches(replace(LAGGED, function=partial(print)), PER_PIXEL)


def test_roots_that_are_not_executed_are_not_judged():
    with pytest.raises(NotRun, match="interpreter alone shows"):
        launches.orders(replace(ROOTS[0], precision="tf32"), ORDERS)


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_roots_keep_their_law(root):
    found = launches.orders(root, ORDERS)
    # n = 27 is multiplied as 32
    assert found.measured == pytest.approx((32 / 27) ** 3)
    products = [float(p) for p in str(found.evidence["products"]).split()]
    assert products[0] == root.law.products
    assert products[-1] < 0.7 * root.law.products
    assert found.evidence["paper's law"] == "kept"


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize(
    "factor", [lambda n: n, lambda n: 3, lambda n: 1 + 2 * (n > 500)], ids=["n", "3", "beyond 500"]
)
@pytest.mark.parametrize("root", ROOTS, ids=lambda root: root.name)
def test_a_hidden_factor_of_a_root_is_caught(root, factor, monkeypatch):
    right = launches.modelled
    monkeypatch.setattr(launches, "modelled", lambda i, problem: right(i, problem) * factor(problem.n))
    assert launches.orders(root, ORDERS).measured > budgets.GROWTH


@pytest.mark.usefixtures("followed")
def test_roots_of_others_have_no_model():
    for function in (partial(print), partial(print, method="spectral")):
        with pytest.raises(NotRun, match="no model"):
            launches.orders(replace(ROOTS[0], function=function), ORDERS)


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize("name", KERNELS)
def test_blocks_of_whole_tiles_are_not_padded(name):
    found = launches.padding(KERNELS[name], PADDED["full"][0])
    assert found.measured < 1.2
    ratios = dict(zip(PADDED["full"][0].values, map(float, found.evidence["times the law"].split()), strict=True))
    assert min(ratios[2], ratios[4]) > 2.5
    assert found.evidence["kept from"] == "G = 16"


@pytest.mark.usefixtures("followed")
@pytest.mark.parametrize("factor", [lambda size: 3, lambda size: 128 / size, lambda size: size], ids=["3", "1/G", "G"])
@pytest.mark.parametrize("name", KERNELS)
def test_waste_that_does_not_grow_is_caught(name, factor, monkeypatch):
    right = launches.modelled
    monkeypatch.setattr(launches, "modelled", lambda i, problem: right(i, problem) * factor(problem.block))
    assert launches.padding(KERNELS[name], PADDED["full"][0]).measured > budgets.GROWTH


@pytest.mark.usefixtures("followed")
def test_a_law_may_be_kept_nowhere(monkeypatch):
    monkeypatch.setattr(launches, "modelled", lambda i, problem: 1e20)
    assert launches.padding(LAGGED, PADDED["full"][0]).evidence["kept from"] == "nowhere"
