"""Which cases a selection stands for, and what becomes of them."""

import math
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest
import torch

from ndbench.catalog import CATALOG, OPERATIONS, Implementation
from ndbench.laws import PatchLaw, RootLaw
from ndbench.operations import deconvolve, patch_covariance
from ndbench.problems import MatrixProblem
from ndbench.verify import runner
from ndbench.verify.check import Check, Measurement
from ndbench.verify.runner import DEVICES, TIERS, Case, Report, Selection, UnknownName, cases, elsewhere, run, verify
from ndbench.verify.suite import CHECKS
from ndbench.verify.verdict import NotRun, Status, Verdict

SMALL, LARGE, EXTRA = (MatrixProblem("identity", n) for n in (1, 2, 3))
ROOT = Implementation("root", "inverse-sqrt", torch.clone)
STEPS = Implementation("steps", "inverse-sqrt", torch.clone, devices=("cpu",))
MEAN = Implementation("mean", "covariance", torch.clone)
IMPLEMENTATIONS = (ROOT, STEPS, MEAN)


def judge(implementation, problem):
    return Measurement(problem.n, 2)


def check(name, operation, *problems, more=(), applies=lambda implementation: True):
    return Check(name, operation, judge, {"quick": problems, "full": (*problems, *more)}, applies)


FORWARD = check("forward", "inverse-sqrt", SMALL, LARGE, more=(EXTRA,))
ORDER = check("order", "inverse-sqrt", LARGE, applies=lambda implementation: implementation.name == "steps")
VALUES = check("values", "covariance", SMALL)
SUITE = (FORWARD, ORDER, VALUES)


def names(selection):
    chosen = cases(selection, SUITE, IMPLEMENTATIONS)
    return [(c.check.name, c.implementation.name, c.problem.n) for c in chosen]


def test_everything_is_selected_problem_by_problem():
    assert names(Selection()) == [
        ("forward", "root", 1),
        ("forward", "steps", 1),
        ("forward", "root", 2),
        ("forward", "steps", 2),
        ("order", "steps", 2),
        ("values", "mean", 1),
    ]


def test_the_full_tier_holds_more():
    added = set(names(Selection(tier="full"))) - set(names(Selection()))
    assert added == {("forward", "root", 3), ("forward", "steps", 3)}


@pytest.mark.parametrize(
    ("selection", "expected"),
    [
        (Selection(operations=("covariance",)), [("values", "mean", 1)]),
        (Selection(checks=("order", "values")), [("order", "steps", 2), ("values", "mean", 1)]),
        (Selection(implementations=("root",)), [("forward", "root", 1), ("forward", "root", 2)]),
        (Selection(problems=(LARGE.name,), checks=("forward",)), [("forward", "root", 2), ("forward", "steps", 2)]),
        (Selection(("inverse-sqrt",), ("order",), ("steps",), (LARGE.name,)), [("order", "steps", 2)]),
    ],
    ids=["operation", "check", "implementation", "problem", "all"],
)
def test_each_option_selects(selection, expected):
    assert names(selection) == expected


@pytest.mark.parametrize(
    ("selection", "unknown", "known"),
    [
        (Selection(operations=("pooling",)), "operation is called pooling", "covariance, inverse-sqrt"),
        (Selection(checks=("z", "a")), "check is called a, z", "forward, order, values"),
        (Selection(checks=("order",), implementations=("root",)), "implementation is called root", "steps"),
        (Selection(problems=("eye",)), "problem is called eye", f"{SMALL.name}, {LARGE.name}"),
    ],
    ids=["operation", "check", "implementation", "problem"],
)
@pytest.mark.parametrize("tier", TIERS)
def test_an_unknown_name_lists_what_there_is(selection, unknown, known, tier):
    with pytest.raises(UnknownName) as raised:
        cases(replace(selection, tier=tier), SUITE, IMPLEMENTATIONS)
    known = f"{known}, {EXTRA.name}" if tier == "full" and selection.problems else known
    assert str(raised.value) == f"no {unknown} in the {tier} tier with the other options given; there are {known}"


def test_times_are_asked_for_by_an_option():
    with pytest.raises(UnknownName, match=r"^scaling-times is judged only with --times or --gate-times; add one"):
        cases(Selection(checks=("scaling-times",)), SUITE, IMPLEMENTATIONS)


def test_no_more_than_sixty_names_are_listed():
    many = check("forward", "inverse-sqrt", *(MatrixProblem("identity", n) for n in range(1, 66)))
    with pytest.raises(UnknownName) as raised:
        cases(Selection(problems=("x",)), (many,), IMPLEMENTATIONS)
    assert str(raised.value).endswith(" and 5 more (ndbench list)")
    assert str(raised.value).count("identity-n") == 60


def test_a_case_is_judged_on_the_chosen_device():
    asked = []
    asking = replace(FORWARD, judge=lambda i, p: asked.append(i.devices) or judge(i, p))
    assert Case(asking, ROOT, SMALL).run().passed
    assert asked == [("cpu",)]


def test_convolutions_are_exact_and_repeatable_while_judged():
    cudnn = torch.backends.cudnn
    before, seen = (cudnn.allow_tf32, cudnn.deterministic), []
    noting = replace(FORWARD, judge=lambda i, p: seen.append((cudnn.allow_tf32, cudnn.deterministic)) or judge(i, p))
    assert Case(noting, ROOT, SMALL).run().passed
    assert seen == [(False, True)]
    assert (cudnn.allow_tf32, cudnn.deterministic) == before


def test_a_missing_device_is_not_run_and_counted(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    report = run(cases(Selection(device="cuda", checks=("forward",)), SUITE, IMPLEMENTATIONS))
    reasons = Counter(v.reason for v in report.verdicts)
    assert reasons == {"no CUDA device": 2}
    assert report.count(Status.NOT_RUN) == 2
    assert not report.passed


def test_a_missing_package_is_not_run_with_that_reason():
    found = Case(FORWARD, replace(ROOT, package="no_such_package"), SMALL).run()
    assert (found.status, found.reason) == (Status.NOT_RUN, "root needs no_such_package, which is not installed")
    assert Case(FORWARD, replace(ROOT, package="numpy"), SMALL).run().passed


def test_what_runs_elsewhere_is_left_out_unless_asked_for():
    here = Selection(device="cuda", checks=("forward",))
    assert elsewhere(here, IMPLEMENTATIONS) == ("steps",)
    asked = replace(here, implementations=("steps",))
    assert elsewhere(asked, IMPLEMENTATIONS) == ()
    report = run(cases(asked, SUITE, IMPLEMENTATIONS))
    assert {v.reason for v in report.verdicts} == {"steps does not run on cuda"}


def test_a_device_that_is_there_is_used(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    asked = []
    asking = replace(FORWARD, judge=lambda i, p: asked.append(i.devices) or judge(i, p))
    assert Case(asking, ROOT, SMALL, "cuda").run().passed
    assert asked == [("cuda",)]


def test_a_failure_on_a_device_is_run_again_on_that_device(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert "device='cuda'" in Case(FORWARD, ROOT, EXTRA, "cuda").run().rerun
    listed = replace(ROOT, name="spectral")
    assert Case(FORWARD, listed, EXTRA, "cuda").run().rerun.endswith("--device cuda")


def test_a_run_tells_of_every_case_in_order():
    told = []
    chosen = cases(Selection(tier="full"), SUITE, IMPLEMENTATIONS)
    report = run(chosen, lambda case, verdict: told.append((case, verdict)))
    assert [case for case, _ in told] == chosen
    assert tuple(verdict for _, verdict in told) == report.verdicts
    assert [v.problem for v in report.failures] == [EXTRA.name, EXTRA.name]
    assert report.seconds > 0
    assert (report.count(Status.PASSED), report.count(Status.FAILED)) == (6, 2)


class Clock:
    """A second goes by whenever it is looked at."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 1
        return self.now

    perf_counter = monotonic


def test_cases_that_have_not_begun_when_the_time_is_over_are_not_run_and_counted(monkeypatch):
    monkeypatch.setattr(runner, "time", Clock())
    told = []
    report = run(cases(Selection(), SUITE, IMPLEMENTATIONS), lambda case, verdict: told.append(verdict), seconds=3)
    assert [v.reason for v in report.verdicts] == ["", "", *["time over"] * 4]
    assert not report.passed
    assert tuple(told) == report.verdicts
    assert (report.count(Status.PASSED), report.count(Status.NOT_RUN)) == (2, 4)


def verdict(status):
    measured = {Status.PASSED: 0.0, Status.FAILED: 2.0, Status.NOT_RUN: math.nan}[status]
    return Verdict("inverse-sqrt", "forward", "root", "identity-n1", measured, 1.0, ran=status != Status.NOT_RUN)


@pytest.mark.parametrize(
    ("statuses", "passed"),
    [
        ([], False),
        ([Status.NOT_RUN], False),
        ([Status.PASSED], True),
        ([Status.PASSED, Status.NOT_RUN], True),
        ([Status.PASSED, Status.FAILED], False),
    ],
)
def test_a_report_passes_if_something_was_judged_and_nothing_failed(statuses, passed):
    assert Report(tuple(map(verdict, statuses)), {}, 0.0).passed == passed


def test_a_check_that_is_never_run_is_still_there():
    def unavailable(implementation, problem):
        raise NotRun("no python-flint")

    report = run(cases(Selection(), (replace(VALUES, judge=unavailable),), IMPLEMENTATIONS))
    assert [(v.status, v.reason) for v in report.verdicts] == [(Status.NOT_RUN, "no python-flint")]


def test_a_function_of_ones_own_is_judged_by_every_check_of_its_operation():
    report = verify(deconvolve, "deconvolution", dtypes=(torch.float32,))
    assert {v.implementation for v in report.verdicts} == {"deconvolve"}
    assert {v.check for v in report.verdicts} == {c.name for c in CHECKS if c.operation == "deconvolution"}
    assert report.passed
    reasons = {v.reason for v in report.verdicts if v.status == Status.NOT_RUN}
    assert reasons == {f"deconvolve does not accept torch.{name}" for name in ("float64", "float16", "bfloat16")}


def test_a_function_without_a_name_is_called_function():
    report = verify(partial(deconvolve, grouping="channel"), "deconvolution", dtypes=())
    assert {v.implementation for v in report.verdicts} == {"function"}
    assert not report.passed


def test_verify_knows_its_operations_and_targets():
    with pytest.raises(ValueError, match="operation") as raised:
        verify(torch.clone, "pooling")
    expected = f"verify: operation must be one of {', '.join(OPERATIONS)}; got 'pooling'"
    assert str(raised.value) == expected
    with pytest.raises(ValueError, match=r"^target must be 'exact' or ITERATION:T, .*; got 'root'$"):
        verify(torch.clone, "inverse-sqrt", target="root")


def test_the_quick_tier_is_part_of_the_full_one():
    for check in CHECKS:
        assert set(check.problems["quick"]) <= set(check.problems["full"]), check.name


@pytest.mark.parametrize("tier", TIERS)
def test_four_names_tell_one_case_of_the_suite(tier):
    told = Counter((c.check.name, c.implementation.name, c.problem.name) for c in cases(Selection(tier=tier)))
    assert [names for names, count in told.items() if count > 1] == []


def test_every_implementation_is_judged_by_something():
    operations = {check.operation for check in CHECKS}
    expected = {(i.operation, i.name) for i in CATALOG if i.operation in operations}
    chosen = [case for device in DEVICES for case in cases(Selection(device=device))]
    assert {(case.implementation.operation, case.implementation.name) for case in chosen} == expected


def test_times_are_judged_only_where_they_are_asked_for():
    def found(times):
        selection = Selection(operations=("covariance",), implementations=("lagged",), times=times)
        return {case.check.name for case in cases(selection)}

    assert "scaling-times" not in found("off")
    assert found("report") == found("gate") == found("off") | {"scaling-times"}


def test_a_function_of_ones_own_is_held_to_a_law():
    asked = {"checks": ("scaling-interior",), "dtypes": (torch.float32,)}
    asked["problems"] = ("scaling-interior-k1.3-stridek-C2-float32",)
    shifted = partial(patch_covariance, algorithm="shifted")
    im2col = partial(patch_covariance, algorithm="im2col")
    for function, law, passed in (
        (im2col, None, True),
        (shifted, PatchLaw(flops=2, memory=0), True),
        (im2col, PatchLaw(flops=2, memory=0), False),
    ):
        assert verify(function, "covariance", law=law, **asked).passed == passed
    with pytest.raises(ValueError, match=r"^verify: law must be a PatchLaw for covariance; got RootLaw\(products=5\)$"):
        verify(shifted, "covariance", law=RootLaw(5))
    with pytest.raises(ValueError, match=r"^verify: law must be None for deconvolution; got RootLaw"):
        verify(deconvolve, "deconvolution", law=RootLaw(5))
    with pytest.raises(ValueError, match=r"^verify: times must be one of off, report, gate; got 'on'$"):
        verify(shifted, "covariance", times="on")


@pytest.mark.parametrize("precision", ["tf32x3", "tf32"])
@pytest.mark.parametrize("hip", ["7.0", None])
def test_precisions_that_amd_devices_lack_are_not_run(precision, hip, monkeypatch):
    monkeypatch.setattr(torch.version, "hip", hip)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    coarse = replace(ROOT, precision=precision)
    verdict = Case(FORWARD, coarse, SMALL, "cuda").run()
    assert verdict.status == Status.NOT_RUN
    assert verdict.reason == ("AMD devices multiply float32 in 'ieee' only" if hip else "no CUDA device")
    assert Case(FORWARD, ROOT, SMALL, "cuda").run().reason == "no CUDA device"
    assert Case(FORWARD, coarse, SMALL, "cpu").run().passed


def test_entries_of_the_catalog_with_such_precisions_are_not_run_on_amd(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "7.0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    chosen = cases(Selection(("inverse-sqrt", "covariance"), ("kernel-offsets",), device="cuda"))
    reasons = {case.implementation.name.rpartition(".")[2]: case.run().reason for case in chosen}
    only = "AMD devices multiply float32 in 'ieee' only"
    assert reasons == {"ieee": "no CUDA device", "tf32x3": only, "tf32": only}
