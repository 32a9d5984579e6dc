"""Whatever is not shown right is wrong."""

import math
from dataclasses import FrozenInstanceError

import pytest

from ndbench.verify.verdict import NotRun, Status, Verdict

nan, inf = math.nan, math.inf


def verdict(measured=nan, budget=nan, **found):
    return Verdict("inverse-sqrt", "forward", "spectral", "identity-n1", measured, budget, **found)


@pytest.mark.parametrize(("measured", "budget"), [(0.5, 1), (1, 1), (0, 0), (-1, 0), (0, 1e-300)])
def test_within_the_budget_passes(measured, budget):
    assert verdict(measured, budget).passed
    assert verdict(measured, budget).status == Status.PASSED


@pytest.mark.parametrize(
    ("measured", "budget"),
    [(1.0001, 1), (nan, 1), (inf, 1), (1e-300, 0), (0, nan), (nan, nan), (nan, inf), (inf, inf), (0, -1)],
)
def test_anything_else_fails(measured, budget):
    assert not verdict(measured, budget).passed
    assert verdict(measured, budget).status == Status.FAILED


def test_a_budget_without_bound_allows_nothing():
    assert not verdict(1.0, inf).passed


def test_nothing_measured_fails():
    assert verdict().status == Status.FAILED
    assert verdict(reason="ValueError: no").status == Status.FAILED


@pytest.mark.parametrize("measured", [nan, 0.0, 2.0])
def test_not_run_is_neither(measured):
    found = verdict(measured, 1.0, reason="no CUDA device", ran=False)
    assert found.status == Status.NOT_RUN
    assert not found.passed


@pytest.mark.parametrize(
    ("measured", "budget", "ratio"), [(1, 2, 0.5), (0, 0, 0), (0, 3, 0), (1, 0, inf), (inf, 1, inf), (-1, 2, -0.5)]
)
def test_ratio(measured, budget, ratio):
    assert verdict(measured, budget).ratio == ratio


def test_ratio_of_what_was_not_measured_is_nan():
    assert math.isnan(verdict().ratio)
    assert math.isnan(verdict(nan, 1.0).ratio)


def test_statuses_read_as_words():
    assert [str(status) for status in Status] == ["passed", "failed", "not run"]


def test_rerun_names_the_full_tier_which_holds_every_problem():
    expected = "ndbench verify --tier full --check forward --implementation spectral --problem identity-n1"
    assert verdict(1.0, 2.0).rerun == expected


def test_a_verdict_is_frozen():
    with pytest.raises(FrozenInstanceError):
        verdict().ran = False
    assert verdict().evidence == {}


def test_not_run_carries_its_reason():
    assert str(NotRun("no CUDA device")) == "no CUDA device"
