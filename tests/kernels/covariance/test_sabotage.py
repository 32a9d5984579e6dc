"""Kernels that are wrong in one place fail a check of the suite."""

from dataclasses import replace

import pytest
import torch

from ndbench.catalog import COVARIANCE
from ndbench.covariance_problems import CovarianceProblem
from ndbench.kernels.covariance import (
    adjoint,
    adjoint_plan,
    im2col_assembly,
    im2col_products,
    lagged_assembly,
    lagged_plan,
    lagged_products,
    partials,
    shift,
)
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
        return lambda *a: with_changes(of(*a), tables)

    return plan


def with_changes(plan, tables):
    return replace(plan, **{name: change(getattr(plan, name)) for name, change in tables.items()})


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


def in_parts(**tables):
    """A change of the tables of every part of an adjoint's plan."""
    return {"parts": lambda parts: tuple(with_changes(part, tables) for part in parts)}


def with_one_pair_less(matrices):
    changed = matrices.clone()
    changed[0, 4] -= 1
    return changed


PLANS = {
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
        in_parts(taps=one_column_on),
        "im2col",
        "gradient-enumeration",
    ),
    "a matrix lacks a pair": (
        adjoint_plan.AdjointPlan,
        in_parts(matrices=with_one_pair_less),
        "im2col",
        "gradient-enumeration",
    ),
    "a region takes the wrong offsets": (
        adjoint_plan.AdjointPlan,
        in_parts(regions=from_the_second),
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


def test_a_partial_sum_that_is_left_out_fails(monkeypatch, device):
    problem = CovarianceProblem(3, 2, 24, 20, 1)
    assert verdict("covariance", "lagged", device, problem).passed
    monkeypatch.setattr(lagged_plan.LaggedPlan, "of", changed(first=without_the_last)(lagged_plan.LaggedPlan))
    assert not verdict("covariance", "lagged", device, replace(problem, seed=1)).passed


def test_a_part_that_is_left_out_fails(monkeypatch, device):
    problem, plan = CovarianceGradientProblem(USUAL), adjoint_plan.AdjointPlan
    monkeypatch.setattr(adjoint, "numbers", lambda *_: 0)
    assert verdict("gradient-enumeration", "im2col", device, problem).passed
    monkeypatch.setattr(plan, "of", changed(parts=lambda parts: parts[:-1])(plan))
    assert not verdict("gradient-enumeration", "im2col", device, replace(problem, seed=1)).passed


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


@pytest.mark.parametrize(
    ("module", "kernel", "algorithm"),
    [
        (im2col_products, "multiply_columns", "im2col"),
        (im2col_assembly, "assemble_columns", "im2col"),
        (lagged_products, "multiply_pieces", "lagged"),
        (lagged_assembly, "assemble_pieces", "lagged"),
    ],
)
def test_a_lost_launch_shows(monkeypatch, device, module, kernel, algorithm):
    monkeypatch.setattr(module, kernel, Nothing())
    assert not verdict("covariance", algorithm, device, replace(USUAL, seed=2)).passed


def test_lost_sums_of_partial_sums_show(monkeypatch, device):
    # as for hundreds of partial sums
    monkeypatch.setattr(partials, "DIRECT", 0)
    assert verdict("covariance", "im2col", device, replace(USUAL, seed=3)).passed
    monkeypatch.setattr(partials, "add_partials", Nothing())
    assert not verdict("covariance", "im2col", device, replace(USUAL, seed=4)).passed


class Nothing:
    """A kernel that writes nothing: what `torch.empty` held is NaN."""

    def __getitem__(self, grid):
        return lambda *arguments, **options: None


def test_wrong_partners_fail(monkeypatch, device):
    problem = CovarianceProblem(2, 4, 4, 5, (1, 3), padding=1, block=2, grouping="interleaved", pooled=False)
    assert verdict("covariance", "lagged", device, problem).passed
    monkeypatch.setattr(ClassTables, "of", changed(sources=lambda sources: sources.flip(1))(ClassTables))
    assert not verdict("covariance", "lagged", device, replace(problem, seed=1)).passed
