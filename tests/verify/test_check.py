"""A check turns what happens into a verdict, and swallows no fault."""

import math
from dataclasses import replace

import pytest
import torch

from ndbench.catalog import CATALOG
from ndbench.images import PhotographUnavailable
from ndbench.problems import MatrixProblem
from ndbench.verify.check import Check, Measurement
from ndbench.verify.oracles import OracleUnavailable
from ndbench.verify.verdict import NotRun, Status, Verdict

SPECTRAL = CATALOG[0]
PROBLEM = MatrixProblem("identity", 1)


def check(judge):
    return Check("forward", "inverse-sqrt", judge, {"quick": (PROBLEM,), "full": (PROBLEM,)})


def raising(error):
    def judge(implementation, problem):
        raise error

    return check(judge)


def test_what_was_measured_is_in_the_verdict():
    asked = []
    evidence = {"kappa": 3.0, "truth": "closed form"}
    judged = check(lambda *question: asked.append(question) or Measurement(0.5, 2.0, evidence))
    expected = Verdict("inverse-sqrt", "forward", "spectral", PROBLEM.name, 0.5, 2.0, evidence=evidence)
    assert judged(SPECTRAL, PROBLEM) == expected
    assert asked == [(SPECTRAL, PROBLEM)]


@pytest.mark.parametrize("unavailable", [NotRun, OracleUnavailable, PhotographUnavailable])
def test_what_cannot_be_judged_is_not_run(unavailable):
    found = raising(unavailable("python-flint is missing"))(SPECTRAL, PROBLEM)
    assert (found.status, found.reason, found.ran) == (Status.NOT_RUN, "python-flint is missing", False)
    assert math.isnan(found.measured)


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("A must be square"), "ValueError: A must be square"),
        (RuntimeError("out of memory"), "RuntimeError: out of memory"),
        (AssertionError(), "AssertionError: "),
        (NotImplementedError("no kernel"), "NotImplementedError: no kernel"),
    ],
)
def test_what_is_raised_is_a_failure(error, reason):
    found = raising(error)(SPECTRAL, PROBLEM)
    assert (found.status, found.reason, found.ran) == (Status.FAILED, reason, True)


def test_an_interrupt_is_no_failure():
    with pytest.raises(KeyboardInterrupt):
        raising(KeyboardInterrupt())(SPECTRAL, PROBLEM)


def test_an_exempt_implementation_is_not_run():
    exempt = replace(SPECTRAL, exempt=("forward",), exempt_reason="it is a sketch")
    found = raising(ValueError("asked"))(exempt, PROBLEM)
    assert (found.status, found.reason) == (Status.NOT_RUN, "spectral is not held to this check: it is a sketch")


def test_a_type_that_is_not_accepted_is_not_run():
    double_only = replace(SPECTRAL, dtypes=(torch.float64,))
    found = raising(ValueError("asked"))(double_only, PROBLEM)
    assert (found.status, found.reason) == (Status.NOT_RUN, "spectral does not accept torch.float32")


def test_a_check_applies_to_everything_unless_it_says_otherwise():
    assert check(lambda *_: Measurement(0, 0)).applies(SPECTRAL)
