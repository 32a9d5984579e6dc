"""A check: a named judgement, and the problems on which it is passed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ndbench.catalog import Implementation
from ndbench.images import PhotographUnavailable
from ndbench.verify.oracles import OracleUnavailable
from ndbench.verify.verdict import Evidence, NotRun, Verdict


@dataclass(frozen=True)
class Measurement:
    """What a check found: a distance, what is allowed, and the figures behind them."""

    measured: float
    budget: float
    evidence: Evidence = field(default_factory=dict)


@dataclass(frozen=True)
class Check:
    """One kind of judgement.

    Attributes:
        name: as the command line knows it.
        operation: whose implementations it judges.
        judge: measures one implementation on one problem; raises `NotRun` where there is nothing to judge.
        problems: the problems of each tier, "quick" and "full".
        applies: whether the check has a meaning for an implementation; where it has none there is no verdict at all.
        patient: whether it waits for Triton's interpreter, however long that takes.
    """

    name: str
    operation: str
    judge: Callable[[Implementation, Any], Measurement]
    problems: Mapping[str, Sequence[Any]]
    applies: Callable[[Implementation], bool] = lambda implementation: True
    patient: bool = False

    def __call__(self, implementation: Implementation, problem: Any) -> Verdict:
        """The verdict on one implementation and one problem; what the implementation raises is a failure."""
        verdict = _blank(self, implementation, problem)
        try:
            _require_applicable(self, implementation, problem)
            # what overflows in a wrong answer is measured as infinite, and needs no warning
            with np.errstate(all="ignore"):
                found = self.judge(implementation, problem)
        except NotRun as unjudged:
            return verdict(reason=str(unjudged), ran=False, evidence=unjudged.evidence)
        except (OracleUnavailable, PhotographUnavailable) as unavailable:
            return verdict(reason=str(unavailable), ran=False)
        except Exception as error:
            return verdict(reason=f"{type(error).__name__}: {error}")
        return verdict(measured=found.measured, budget=found.budget, evidence=found.evidence)


def _blank(check: Check, implementation: Implementation, problem: Any) -> Callable[..., Verdict]:
    def verdict(**found: Any) -> Verdict:
        return Verdict(
            check.operation, check.name, implementation.name, problem.name, device=implementation.devices[0], **found
        )

    return verdict


def _require_applicable(check: Check, implementation: Implementation, problem: Any) -> None:
    if check.name in implementation.exempt:
        raise NotRun(f"{implementation.name} is not held to this check: {implementation.exempt_reason}")
    if problem.dtype not in implementation.dtypes:
        raise NotRun(f"{implementation.name} does not accept {problem.dtype}")
