"""Kernels that are wrong in one place fail a check of the suite."""

from dataclasses import replace

import pytest
import torch

from ndbench.catalog import COVARIANCE
from ndbench.covariance_problems import CovarianceProblem
from ndbench.kernels.covariance import adjoint, adjoint_plan, lagged_plan, partials, shift
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.verify.gradients.problems import CovarianceGradientProblem
from ndbench.verify.suite import CHECKS

IMPLEMENTATION = {i.name: i for i in COVARIANCE}
CHECK = {check.name: check for check in CHECKS if check.operation == "covariance"}
USUAL = CovarianceProblem(2, 2, 5, 6, 2, padding=1)


def verdict(name, algorithm, device, problem):
    implementation = IMPLEMENTATION[f"{algorithm}.triton.ieee"]
    return CHECK[name](replace(implementation, devices=("interpreter" if device == "cpu" else device,)), problem)


def changed(**tables):
    """A plan of which some tables are changed by functions."""

    def plan(cls):
        of = cls.of
        return lambda *a: replace(
            found := of(*a), **{name: change(getattr(found, name)) for name, change in tables.items()}
        )

    return plan


def without_the_last(table):
    return torch.cat([table[:-1], table[-1:] - 1])


def one_column_on(taps):
    moved = taps.clone()
    moved[0, 1] += 1
    return moved


def from_the_second(regions):
    moved = regions.clone()
    moved[0, 10] += 1
    return moved


PLANS = {
    "the last partial sum is left out": (lagged_plan.LaggedPlan, {"first": without_the_last}, "lagged", "covariance"),
    "a piece is counted at the wrong pair": (
        lagged_plan.LaggedPlan,
        {"held": lambda held: held.roll(1)},
        "lagged",
        "covariance",
    ),
    "the padding is forgotten": (lagged_plan.LaggedPlan, {"presence": torch.ones_like}, "lagged", "mean"),
    "the shift's variance is forgotten": (
        lagged_plan.LaggedPlan,
        {"variance": torch.zeros_like},
        "lagged",
        "covariance",
    ),
    "a tap reads the next pixel": (
        adjoint_plan.AdjointPlan,
        {"taps": one_column_on},
        "im2col",
        "gradient-enumeration",
    ),
    "a region takes the wrong offsets": (
        adjoint_plan.AdjointPlan,
        {"regions": from_the_second},
        "im2col",
        "gradient-enumeration",
    ),
}


@pytest.mark.parametrize("wrong", PLANS)
def test_a_wrong_plan_fails(monkeypatch, device, wrong):
    plan, tables, algorithm, check = PLANS[wrong]
    problem = replace(USUAL, data="offset") if check == "mean" else USUAL
    problem = CovarianceGradientProblem(USUAL) if check.startswith("gradient") else problem
    assert verdict(check, algorithm, device, problem).passed
    monkeypatch.setattr(plan, "of", changed(**tables)(plan))
    found = verdict(check, algorithm, device, replace(problem, seed=1))
    assert not found.passed
    assert found.ran
    assert found.measured > found.budget


@pytest.mark.parametrize("algorithm", ["im2col", "lagged"])
def test_without_a_shift_large_means_cost_digits(monkeypatch, device, algorithm):
    problem = CovarianceProblem(3, 2, 6, 7, 2, data="offset", block=2)
    assert verdict("large-mean", algorithm, device, problem).passed
    monkeypatch.setattr(shift, "sampled_shift", lambda x: x.new_zeros(x.shape[1], dtype=torch.float32))
    assert not verdict("large-mean", algorithm, device, replace(problem, seed=1)).passed


def test_a_gradient_without_its_constants_fails(monkeypatch, device):
    problem = CovarianceGradientProblem(USUAL)
    true = adjoint.constants
    monkeypatch.setattr(adjoint, "constants", lambda *a: 0 * true(*a))
    assert not verdict("gradient-enumeration", "im2col", device, problem).passed


def test_a_lost_program_shows(monkeypatch, device):
    monkeypatch.setattr(partials, "add_partials", Nothing())
    assert not verdict("covariance", "im2col", device, replace(USUAL, seed=2)).passed


class Nothing:
    """A kernel that writes nothing: what `torch.empty` held is NaN."""

    def __getitem__(self, grid):
        return lambda *arguments, **options: None


def test_wrong_partners_fail(monkeypatch, device):
    problem = CovarianceProblem(2, 4, 4, 5, (1, 3), padding=1, block=2, grouping="interleaved", pooled=False)
    assert verdict("covariance", "lagged", device, problem).passed
    monkeypatch.setattr(ClassTables, "of", changed(sources=lambda sources: sources.flip(1))(ClassTables))
    assert not verdict("covariance", "lagged", device, replace(problem, seed=1)).passed
