"""Right implementations pass every check of covariance and deconvolution, on several seeds."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ndbench.catalog import COVARIANCE, DECONVOLUTION, Implementation
from ndbench.covariance_problems import CovarianceProblem
from ndbench.verify import covariance_budgets as budgets
from ndbench.verify import covariance_values
from ndbench.verify.covariance_answers import read, truths
from ndbench.verify.covariance_problem_sets import FULL, QUICK, Tier, quick
from ndbench.verify.covariance_suite import CHECKS
from ndbench.verify.runner import Selection, cases, run
from ndbench.verify.verdict import NotRun, Status

# im2col adds the products of a pair of columns in another order than those of the transposed pair
IMPLEMENTATIONS = tuple(
    replace(i, exempt=("exact-symmetry",)) if i.name in ("im2col", "auto") else i
    for i in COVARIANCE + DECONVOLUTION
    # kernels are judged where Triton's interpreter runs
    if "cpu" in i.devices
)
SETS = {"large-mean": "large_mean", "grouping": "coded", "agreement": "agreement"}
VALUES = ("mean", "covariance", "exact-symmetry", "semidefinite")
SEEDS = (11, 12)


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Products this small take longer on two threads."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def exempt_from(check):
    return {i.name for i in IMPLEMENTATIONS if check.name in i.exempt}


def problems_of(check, tier: Tier):
    if check.operation == "deconvolution":
        return tier.deconvolution
    return tier.values if check.name in VALUES else getattr(tier, SETS.get(check.name, "invariants"))


@pytest.mark.parametrize("seed", SEEDS)
def test_right_implementations_pass(seed):
    tier = quick(seed)
    posed = [replace(check, problems={"quick": problems_of(check, tier)}) for check in CHECKS]
    report = run(cases(Selection(), posed, IMPLEMENTATIONS))
    assert report.failures == ()
    for check in posed:
        passed = {v.implementation for v in report.verdicts if v.passed and v.check == check.name}
        assert passed >= {i.name for i in IMPLEMENTATIONS if i.operation == check.operation} - exempt_from(check)


@pytest.mark.parametrize("tier", [QUICK, FULL], ids=["quick", "full"])
def test_names_are_unique(tier):
    covariance = {*tier.values, *tier.large_mean, *tier.coded, *tier.agreement, *tier.invariants}
    assert len({p.name for p in covariance}) == len(covariance)
    assert len({p.name for p in tier.deconvolution}) == len(set(tier.deconvolution))


def test_the_full_tier_holds_the_quick_one():
    for check in CHECKS:
        assert set(check.problems["quick"]) < set(check.problems["full"])


@pytest.mark.parametrize("wanted", [
    {"kernel_size": 7}, {"kernel_size": (2, 3)}, {"dilation": 2}, {"stride": (3, 1)}, {"N": 1, "H": 3, "W": 3},
    {"padding": 3}, {"dtype": torch.float16}, {"dtype": torch.bfloat16}, {"dtype": torch.float64},
    {"pooled": False, "grouping": "interleaved"}, {"data": "photograph:china"}, {"data": "relu:coffee"},
], ids=str)  # fmt: skip
def test_quick_values_hold(wanted):
    assert any(all(getattr(p, name) == value for name, value in wanted.items()) for p in QUICK.values)


def test_coded_problems_share_a_divisor_with_the_kernel():
    """gcd(k^2, G) > 1 is where interleaved groups split into classes of channels."""
    pairs = [(p.kernel_size**2, p.C // p.block) for p in QUICK.coded if isinstance(p.kernel_size, int)]
    assert any(np.gcd(*pair) > 1 for pair in pairs)


def test_error_budgets_grow_with_the_rows_and_not_with_the_mean():
    still = CovarianceProblem(data="integers", pooled=False)
    images = still.x().double().numpy()
    arguments = {k: v for k, v in still.arguments().items() if k != "eps"}
    near, far = (budgets.Scales.of(images + shift, arguments) for shift in (0, 1000))
    cov = truths(still).cov.astype(np.float64)
    more = replace(near, rows=2 * near.rows)
    beside_near, beside_far, of_more = (
        budgets.covariance(torch.float32, cov, scales, 2.0**-24) for scales in (near, far, more)
    )
    assert (beside_far / beside_near).max() < 1.5
    assert (of_more > beside_near).all()


def test_coarser_products_are_allowed_what_they_lose():
    still = CovarianceProblem(data="integers", pooled=False)
    true = truths(still)
    ieee, tf32 = (replace(COVARIANCE[0], precision=precision) for precision in ("ieee", "tf32"))
    # two operands, each off by two units of 2^-11 where it was cut off
    lost = true.budget(tf32) - true.budget(ieee)
    np.testing.assert_allclose(lost, 4 * (2.0**-11 - 2.0**-24) * true.scales.spread, rtol=1e-5)
    assert budgets.rounded_products(torch.float32, 2.0**-24) == 0
    assert budgets.rounded_products(torch.float64, 2.0**-53) == 0


def test_half_types_are_allowed_one_rounding_more():
    value = np.array([1.0])
    assert budgets.rounding(torch.float16, value)[0] == pytest.approx(2.0**-10, rel=1e-3)
    assert budgets.arithmetic(torch.bfloat16) == 2.0**-24
    assert budgets.arithmetic(torch.float64) == 2.0**-53


def test_a_coarse_truth_judges_nothing(monkeypatch):
    problem = CovarianceProblem(N=1, H=4, W=4, seed=5)
    coarse = replace(truths(problem), error=1e-3)
    monkeypatch.setattr(covariance_values, "truths", lambda _: coarse)
    with pytest.raises(NotRun, match=r"known to 1\.0e-03 of the spread"):
        covariance_values.covariance(COVARIANCE[0], problem)


NOT_RUN = {
    "translation": [CovarianceProblem(padding=1), CovarianceProblem(dtype=torch.float16)],
    "channel-order": [CovarianceProblem(block=1), CovarianceProblem(block=2, grouping="interleaved")],
    "batch-order": [CovarianceProblem(N=1)],
    "scaling": [CovarianceProblem(eps=1e-5), CovarianceProblem(dtype=torch.bfloat16)],
}


@pytest.mark.parametrize("name", NOT_RUN)
def test_what_cannot_be_judged_is_not_run(name):
    check = next(c for c in CHECKS if c.name == name)
    for problem in NOT_RUN[name]:
        verdict = check(COVARIANCE[0], problem)
        assert verdict.status == Status.NOT_RUN
        assert verdict.reason


@pytest.mark.parametrize("returned", [(None, None), (torch.zeros(3), torch.zeros(3, 3)), (torch.zeros(36), None)])
def test_anything_but_two_tensors_of_the_promised_shapes_fails(returned):
    problem = CovarianceProblem()
    wrong = Implementation("wrong", "covariance", lambda x, k, **_: returned)
    verdict = next(c for c in CHECKS if c.name == "mean")(wrong, problem)
    assert verdict.status == Status.FAILED
    assert "BrokenPromise" in verdict.reason


def test_answers_get_a_dimension_of_groups():
    arguments = CovarianceProblem(block=2).arguments()
    found = read((torch.zeros(18), torch.zeros(18, 18)), torch.zeros(1, 4, 9, 9), arguments)
    assert (found.mean.shape, found.cov.shape) == ((1, 18), (1, 18, 18))
