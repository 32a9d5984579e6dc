"""The result of one check on one implementation and one problem."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ndbench.catalog import CATALOG

Evidence = Mapping[str, float | str]


class Status(StrEnum):
    """What became of a check."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not run"


class NotRun(Exception):
    """Raised by a check that cannot be judged here; the message is the reason that the report shows.

    Attributes:
        evidence: what was found all the same.
    """

    def __init__(self, reason: str, evidence: Evidence | None = None) -> None:
        super().__init__(reason)
        self.evidence = evidence or {}


@dataclass(frozen=True)
class Verdict:
    """One judgement.

    Attributes:
        operation: what was computed.
        check: by which check it was judged.
        implementation: whose answer it was.
        problem: on what.
        measured: a distance from the truth, or from what must hold.
        budget: what is allowed.
        reason: why the check was not run, or what was raised.
        ran: False if there is nothing to judge.
        evidence: figures behind the judgement.
        device: where the implementation ran.
    """

    operation: str
    check: str
    implementation: str
    problem: str
    measured: float = math.nan
    budget: float = math.nan
    reason: str = ""
    ran: bool = True
    evidence: Evidence = field(default_factory=dict)
    device: str = "cpu"

    @property
    def passed(self) -> bool:
        """Whether the measured distance is within the budget; NaN is not."""
        return self.ran and self.measured <= self.budget < math.inf

    @property
    def status(self) -> Status:
        """Passed, failed or not run."""
        if not self.ran:
            return Status.NOT_RUN
        return Status.PASSED if self.passed else Status.FAILED

    @property
    def ratio(self) -> float:
        """Measured over budget: 1 is the gate. An exact agreement demanded and reached counts as 0."""
        if self.measured == 0 and self.budget == 0:
            return 0.0
        return self.measured / self.budget if self.budget else math.inf

    @property
    def rerun(self) -> str:
        """The command, or for a function outside the catalog the call, that judges just this again."""
        if self.implementation not in {implementation.name for implementation in CATALOG}:
            return (
                f"verify({self.implementation}, {self.operation!r}, tier='full', device={self.device!r}, "
                f"checks=({self.check!r},), problems=({self.problem!r},))"
            )
        return (
            f"ndbench verify --tier full --check {self.check} --implementation {self.implementation} "
            f"--problem {self.problem}" + (f" --device {self.device}" if self.device != "cpu" else "")
        )
