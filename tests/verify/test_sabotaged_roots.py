"""Every check of inverse square roots fails on something wrong, on the problems of the quick tier."""

import pytest

from ndbench.verify import kernels
from ndbench.verify.gradients.suite import FAMILY
from ndbench.verify.scaling import suite as scaling
from ndbench.verify.suite import CHECKS
from tests.verify.sabotaged_roots import SABOTAGE

BY_NAME = {check.name: check for check in CHECKS if check.operation == "inverse-sqrt"}


def first_failure(check, implementation):
    """The first verdict of the quick tier that catches it, small problems first."""
    for problem in sorted(check.problems["quick"], key=lambda problem: problem.n):
        if problem.dtype in implementation.dtypes:
            verdict = check(implementation, problem)
            if verdict.status == "failed":
                return verdict
    return None


@pytest.mark.parametrize("sabotage", SABOTAGE, ids=str)
def test_is_caught(sabotage):
    check = BY_NAME[sabotage.check]
    assert check.applies(sabotage.implementation)
    verdict = first_failure(check, sabotage.implementation)
    assert verdict is not None
    # caught by what it measures, and not because the judge stumbled
    assert verdict.reason.startswith(sabotage.raised)
    assert bool(verdict.reason) == bool(sabotage.raised)


def test_every_check_has_a_sabotage():
    """Those of gradients, kernels and scaling have theirs in tests of their own."""
    elsewhere = (FAMILY, kernels.FAMILY, scaling.FAMILY)
    assert {sabotage.check for sabotage in SABOTAGE} == {name for name in BY_NAME if not name.startswith(elsewhere)}


def test_names_are_unique():
    assert len({sabotage.name for sabotage in SABOTAGE}) == len(SABOTAGE)
