"""What is called wrong, and what is not."""

import math

import pytest
import torch

from ndbench.bench.accuracy import Standard, distance
from ndbench.bench.registry import workload
from ndbench.bench.workloads import Contender, Workload, passes
from ndbench.roots import newton_schulz

ROOTS = workload("newton_schulz-T5-n64-b4", "cpu")
COVARIANCE = workload("covariance-8x64x32x32-k3-s3-block64", "cpu")
LAYER = workload("layer-8x16x16x16-to-16", "cpu")


def ratio(chosen, contender, direction):
    """Error over what is allowed."""
    x = chosen.input("cpu")
    standard = Standard(chosen, x)
    found = dict(passes(contender, x))[direction]()
    return standard.error(found, contender, direction) / standard.allowed(contender, direction)


@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
@pytest.mark.parametrize("chosen", [ROOTS, COVARIANCE, LAYER], ids=lambda w: w.name)
def test_right_contenders_are_far_from_wrong(chosen, direction):
    for name, contender in chosen.contenders("cpu").items():
        assert ratio(chosen, contender, direction) < 0.5, name


class Transposed(torch.autograd.Function):
    """A root whose gradient is off by one part in a thousand."""

    @staticmethod
    def forward(ctx, A):
        with torch.enable_grad():
            leaf = A.detach().requires_grad_()
            ctx.pair = leaf, newton_schulz(leaf, 5)
        return ctx.pair[1].detach()

    @staticmethod
    def backward(ctx, g):
        leaf, D = ctx.pair
        (found,) = torch.autograd.grad(D, leaf, g)
        return 1.001 * found


WRONG_ROOTS = {
    "scaled": lambda A: 1.001 * newton_schulz(A, 5),
    "one step too few": lambda A: newton_schulz(A, 4),
    "zeros": torch.zeros_like,
    "the first of the batch": lambda A: newton_schulz(A[:1], 5).expand_as(A),
    "nan in one": lambda A: torch.cat([newton_schulz(A[:-1], 5), torch.full_like(A[-1:], math.nan)]),
    "bfloat16": lambda A: newton_schulz(A.bfloat16(), 5).float(),
}


@pytest.mark.parametrize("wrong", WRONG_ROOTS.values(), ids=WRONG_ROOTS)
def test_wrong_roots_are_wrong(wrong):
    assert not ratio(ROOTS, Contender(lambda A: (wrong(A),)), "forward") <= 1


def test_a_wrong_gradient_of_a_right_root_is_wrong():
    contender = Contender(lambda A: (Transposed.apply(A),))
    assert ratio(ROOTS, contender, "forward") < 0.5
    assert not ratio(ROOTS, contender, "forward+backward") <= 1


def test_a_covariance_divided_by_one_row_less_is_wrong():
    right = COVARIANCE.contenders("cpu")["unfold + GEMM"].function

    def wrong(x):
        mean, cov = right(x)
        return mean, cov * COVARIANCE.rows / (COVARIANCE.rows - 1)

    assert not ratio(COVARIANCE, Contender(wrong), "forward") <= 1


def test_a_layer_that_detaches_its_statistics_is_wrong():
    layer = LAYER.contenders("cpu")["Deconv2d, block 16, stride 3"]

    def shortened(x):
        (y,) = layer.function(x.detach())
        return (y + 0 * x.sum(),)

    wrong = Contender(shortened, truth=layer.truth, parameters=layer.parameters)
    assert ratio(LAYER, wrong, "forward") < 0.5
    assert not ratio(LAYER, wrong, "forward+backward") <= 1


def test_coarser_products_may_be_less_exact_and_no_more():
    x = ROOTS.input("cpu")
    standard = Standard(ROOTS, x)
    contender = ROOTS.contenders("cpu")["torch"]
    allowed = {
        precision: standard.allowed(Contender(contender.function, precision), "forward")
        for precision in ("ieee", "tf32x3", "tf32")
    }
    assert allowed["ieee"] < allowed["tf32x3"] < allowed["tf32"] < 0.05


def test_nothing_is_allowed_that_has_nothing_right():
    steep = Workload(
        "steep", ROOTS.input, ROOTS.contenders, lambda x: (torch.exp(20 * x / x.norm()),), 1, 1, order=10**9
    )
    assert Standard(steep, torch.ones(3)).allowed(Contender(torch.exp), "forward") == 0.5


def test_the_condition_is_measured_on_the_truth():
    cube = Workload("cube", ROOTS.input, ROOTS.contenders, lambda x: (x**3,), 1, 1)
    truth = Standard(cube, torch.full((100,), 2.0)).truth(Contender(torch.exp))
    assert truth.conditions["forward"] == pytest.approx(3, rel=1e-4)
    assert truth.conditions["forward+backward"] == pytest.approx(2, rel=0.5)


def test_a_truth_is_computed_once_for_all_that_share_it():
    calls = []

    def truth(x):
        calls.append(len(x))
        return (x**2,)

    counted = Workload("counted", ROOTS.input, ROOTS.contenders, truth, 1, 1)
    standard = Standard(counted, torch.ones(3))
    for contender in (Contender(torch.exp), Contender(torch.sin)):
        standard.truth(contender)
    first = len(calls)
    standard.truth(Contender(torch.cos))
    assert len(calls) == first


def test_distances_to_zero():
    zero, one = (torch.zeros(2),), (torch.ones(2),)
    assert distance(zero, zero) == 0
    assert distance(one, zero) == math.inf
    assert math.isnan(distance((torch.full((2,), math.nan),), zero))
