"""Every scaling check fails on an implementation that gives the right answer at too high a cost."""

from dataclasses import replace

import pytest
import torch

from ndbench.covariance_problems import CovarianceProblem
from ndbench.problems import MatrixProblem
from ndbench.verify.covariance_answers import respond
from ndbench.verify.scaling.problems import InteriorScaling, OrderScaling, PatchScaling
from ndbench.verify.scaling.suite import CHECKS, LAUNCHES_OF_KERNELS
from ndbench.verify.verdict import Status
from tests.verify.scaling.sabotaged import SABOTAGE

# those of kernels have no call to count here: test_launches.py
CHECK = {(check.operation, check.name): check for check in CHECKS if check not in LAUNCHES_OF_KERNELS}


def small(problem):
    """Without the largest kernels and orders, which take seconds."""
    if isinstance(problem, OrderScaling):
        return OrderScaling(tuple(n for n in problem.values if n <= 64))
    if isinstance(problem, PatchScaling) and problem.variable == "k":
        return PatchScaling("k", (1, 3, 5), side=8)
    if isinstance(problem, InteriorScaling):
        return replace(problem, values=(1, 3))
    return problem


def verdicts(check, implementation):
    return (check(implementation, small(problem)) for problem in check.problems["quick"])


def grown(problem):
    """What grows in a family."""
    return getattr(problem, "variable", "k")


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=str)
def test_is_caught_in_the_quick_tier_by_its_family(sabotage):
    check = CHECK[sabotage.right.operation, sabotage.check]
    assert check.applies(sabotage.implementation)
    families = [small(problem) for problem in check.problems["quick"] if grown(problem) == sabotage.family]
    found = [check(sabotage.implementation, problem) for problem in families]
    caught = next(v for v in found if v.status == Status.FAILED)
    # by what is measured, and not because it stumbled
    assert caught.measured > caught.budget
    assert caught.reason == ""


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=str)
def test_its_answers_are_right(sabotage):
    if sabotage.right.operation == "covariance":
        problem = CovarianceProblem(2, 4, 9, 9, 3, padding=1, block=2, dtype=torch.float64)
        answers = (respond(i, problem.x(), problem.arguments()) for i in (sabotage.implementation, sabotage.right))
        found, wanted = ((one.mean, one.cov) for one in answers)
    else:
        A = MatrixProblem("geometric", 6, 10.0, dtype=torch.float64).matrices()
        found, wanted = (f(A) for f in (sabotage.function, sabotage.right.function))
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("key", CHECK, ids=" ".join)
def test_the_implementation_in_its_place_passes(key):
    operation, name = key
    right = {s.right for s in SABOTAGE if (s.right.operation, s.check) == key}
    assert right
    for implementation in right:
        assert {v.status for v in verdicts(CHECK[operation, name], implementation)} == {Status.PASSED}


def test_every_check_has_a_sabotage():
    assert {(sabotage.right.operation, sabotage.check) for sabotage in SABOTAGE} == set(CHECK)
