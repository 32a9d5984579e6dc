"""Every wrong gradient is caught by the rung named beside it, and right ones pass all rungs on several seeds."""

from dataclasses import replace

import pytest
import torch

from ndbench.verify.gradients.problem_sets import quick
from ndbench.verify.gradients.suite import CHECKS, FAMILY
from ndbench.verify.verdict import Status
from tests.verify.gradients.sabotaged_gradients import NS5, RIGHT, ROOTS, SABOTAGE, SPECTRAL, changed

MINIMAX = [ROOTS["minimax_cubic.T5"], ROOTS["minimax_quintic.T5"]]
BY_NAME = {(check.operation, check.name): check for check in CHECKS}


def posed(check, implementation):
    """The problems of the quick tier that the implementation accepts."""
    return [p for p in check.problems["quick"] if p.dtype in implementation.dtypes]


def first_failure(check, implementation):
    verdicts = (check(implementation, problem) for problem in posed(check, implementation))
    caught = (v for v in verdicts if v.status == Status.FAILED)
    return next((v for v in caught if not v.reason or v.reason.startswith("BrokenPromise: promises")), None)


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=str)
def test_is_caught(sabotage):
    implementation = sabotage.implementation
    check = BY_NAME[implementation.operation, sabotage.check]
    assert check.applies(implementation)
    assert first_failure(check, implementation) is not None


@pytest.mark.parametrize("base", [NS5, SPECTRAL, *MINIMAX], ids=lambda base: base.name)
def test_no_budget_lets_zeros_pass(base):
    zeros = replace(base, function=changed(lambda g, *_: torch.zeros_like(g), base.function), unchecked=None)
    for check in (BY_NAME["inverse-sqrt", f"{FAMILY}{rung}"] for rung in ("closed-form", "repeated")):
        for problem in posed(check, zeros):
            assert check(zeros, problem).status != Status.PASSED, problem.name


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
