"""Which verdict of a rung catches a wrong gradient."""

from typing import Any

from ndbench.catalog import Implementation
from ndbench.verify.check import Check
from ndbench.verify.gradients.suite import CHECKS
from ndbench.verify.verdict import Status, Verdict
from tests.verify.gradients.wrong_gradients import Sabotage

BY_NAME = {(check.operation, check.name): check for check in CHECKS}
BROKEN_PROMISE = "BrokenPromise: promises"


def posed(check: Check, implementation: Implementation) -> list[Any]:
    """The problems of the quick tier that the implementation accepts."""
    return [p for p in check.problems["quick"] if p.dtype in implementation.dtypes]


def caught_by(sabotage: Sabotage) -> Verdict | None:
    """The first verdict of the rung named beside it that fails, for what it measured or for a broken promise."""
    implementation = sabotage.implementation
    check = BY_NAME[implementation.operation, sabotage.check]
    verdicts = (check(implementation, problem) for problem in posed(check, implementation))
    failed = (v for v in verdicts if v.status == Status.FAILED)
    return next((v for v in failed if not v.reason or v.reason.startswith(BROKEN_PROMISE)), None)
