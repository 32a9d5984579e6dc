"""Every wrong gradient is caught by the rung named beside it, and right ones pass all rungs on several seeds."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ndbench.verify.gradients.problem_sets import quick
from ndbench.verify.gradients.suite import CHECKS, FAMILY
from ndbench.verify.verdict import Status
from tests.verify.gradients.catching import BY_NAME, caught_by, posed
from tests.verify.gradients.sabotage_table import row
from tests.verify.gradients.sabotaged_gradients import RIGHT, SABOTAGE
from tests.verify.gradients.sabotaged_roots import NS5, ROOTS, SPECTRAL, zeros
from tests.verify.gradients.wrong_gradients import changed

DOCUMENTED = (Path(__file__).parents[3] / "docs" / "sabotage.md").read_text().splitlines()
MINIMAX = [ROOTS["minimax_cubic.T5"], ROOTS["minimax_quintic.T5"]]


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=str)
def test_is_caught_as_documented(sabotage):
    assert BY_NAME[sabotage.implementation.operation, sabotage.check].applies(sabotage.implementation)
    verdict = caught_by(sabotage)
    assert verdict is not None
    # the figure between them depends on the machine
    begins = f"| {sabotage.implementation.operation} | {sabotage.name} | {sabotage.rung} | "
    assert [line for line in DOCUMENTED if line.startswith(begins) and line.endswith(f" | {verdict.problem} |")]


def test_nothing_else_is_documented():
    assert len([line for line in DOCUMENTED if line.startswith("| ")]) == 1 + len(SABOTAGE)


def test_the_table_names_the_rung_and_the_figure():
    lost = next(s for s in SABOTAGE if s.name == "answer detached")
    large = next(s for s in SABOTAGE if s.name == "bias's gradient seven times too large")
    assert "| closed-form | promises reverse derivatives, and its answer carries no gradient |" in row(lost)
    assert "| deconvolved-conv2d | bias's gradient seven times too large | parameters |" in row(large)


def test_the_table_says_what_is_not_caught():
    right = replace(SABOTAGE[0], name="nothing", rung="lyapunov", implementation=SPECTRAL)
    assert "NOT CAUGHT" in row(right)


@pytest.mark.parametrize("base", [NS5, SPECTRAL, *MINIMAX], ids=lambda base: base.name)
def test_no_budget_lets_zeros_pass(base):
    wrong = replace(base, function=changed(zeros, base.function), unchecked=None)
    for check in (BY_NAME["inverse-sqrt", f"{FAMILY}{rung}"] for rung in ("closed-form", "repeated")):
        for problem in posed(check, wrong):
            assert check(wrong, problem).status != Status.PASSED, problem.name


def test_every_rung_has_a_sabotage():
    assert {(s.implementation.operation, s.check) for s in SABOTAGE} == set(BY_NAME)


def test_names_are_unique():
    assert len({sabotage.name for sabotage in SABOTAGE}) == len(SABOTAGE)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.operation} {check.name}")
def test_right_gradients_pass(check, seed):
    for implementation in RIGHT:
        if implementation.operation != check.operation or not check.applies(implementation):
            continue
        for problem in posed(check, implementation)[: 6 if seed else None]:
            # a loop in half precision through autograd is what the catalog's own entries are judged on
            if problem.dtype in (torch.float64, torch.float32):
                verdict = check(implementation, replace(problem, seed=seed))
                assert verdict.status != Status.FAILED, verdict


def test_another_seed_gives_other_problems():
    assert not {p.name for p in quick(0).conditions} & {p.name for p in quick(1).conditions}
