"""Which checks are passed on which problems by which implementations, and running them."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch

from ndbench.catalog import CATALOG, DERIVATIVES, OPERATIONS, Implementation
from ndbench.environment import environment, optional
from ndbench.kernels.precision import AMD, precisions_here
from ndbench.kernels.runtime import interpreted
from ndbench.laws import DEFINITIONS, Law
from ndbench.targets import parse_target
from ndbench.verify.check import Check
from ndbench.verify.gradients import suite as gradients
from ndbench.verify.interpretation import quickly
from ndbench.verify.scaling.suite import TIMES
from ndbench.verify.settings import exact_convolutions
from ndbench.verify.suite import CHECKS
from ndbench.verify.verdict import Status, Verdict

TIERS = ("quick", "full")
DEVICES = ("cpu", "cuda", "interpreter")
"""The last is the CPU with Triton's interpreter, for implementations that are kernels."""


SLOW = {"inverse-sqrt": 200, "covariance": 250}
"""Milliseconds of the interpreter, at most, for one call of a kernel on a problem, by operation.

Roots are few kernels, which the patient checks judge at every order. What a covariance does depends on kernel, stride,
dilation, padding, block and grouping, and nothing but its problems judges that.
"""


TIME_OVER = "time over"


class UnknownName(ValueError):
    """A selection names something that does not exist."""


@dataclass(frozen=True)
class Selection:
    """What to run; an empty tuple selects everything.

    Attributes:
        operations: names of operations.
        checks: names of checks.
        implementations: names of implementations.
        problems: names of problems.
        tier: "quick" or "full".
        device: kind of device to run on, one of `DEVICES`.
        times: whether times are measured, one of `TIMES`: "off", "report" their exponents, or "gate" by them too.
    """

    operations: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    implementations: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    tier: str = "quick"
    device: str = "cpu"
    times: str = "off"


@dataclass(frozen=True)
class Case:
    """One check to be passed by one implementation on one problem."""

    check: Check
    implementation: Implementation
    problem: Any
    device: str = "cpu"

    def run(self, deadline: float = math.inf) -> Verdict:
        """The verdict; "not run" past the deadline of `time.monotonic()`, or without the device or a package."""
        obstacle = TIME_OVER if time.monotonic() >= deadline else self._device_obstacle()
        package = self.implementation.package
        if not obstacle and package and optional(package) is None:
            obstacle = f"{self.implementation.name} needs {package}, which is not installed"
        if obstacle:
            return self._not_run(obstacle)
        with exact_convolutions(), quickly() if self.device == "interpreter" else nullcontext():
            return self.check(replace(self.implementation, devices=(self.device,)), self.problem)

    def _device_obstacle(self) -> str:
        """Why the device does not run the case; empty if it does."""
        if self.device not in self.implementation.devices:
            return f"{self.implementation.name} does not run on {self.device}"
        if self.device == "interpreter":
            return _uninterpretable(self)
        if self.device == "cuda" and self.implementation.precision not in precisions_here():
            return AMD
        return "no CUDA device" if self.device == "cuda" and not torch.cuda.is_available() else ""

    def _not_run(self, reason: str) -> Verdict:
        names = self.check.operation, self.check.name, self.implementation.name, self.problem.name
        return Verdict(*names, reason=reason, ran=False, device=self.device)


def _uninterpretable(case: Case) -> str:
    """Why Triton's interpreter cannot judge a kernel; empty if it can."""
    implementation, dtype = case.implementation, case.problem.dtype
    if not interpreted():
        return "Triton interprets kernels only if TRITON_INTERPRET=1 is set before Python starts"
    if implementation.precision != "ieee":
        return f"Triton's interpreter computes {implementation.precision} products in float32: it takes a GPU"
    if dtype == torch.bfloat16:
        return "Triton's interpreter computes bfloat16 wrongly: it takes a GPU"
    slow = SLOW.get(implementation.operation, 0)
    if case.check.patient or dtype not in implementation.dtypes or implementation.interpreted(case.problem) <= slow:
        return ""
    return f"a call takes Triton's interpreter more than {slow} ms: it takes a GPU"


@dataclass(frozen=True)
class Report:
    """Every verdict of one run, and where it ran."""

    verdicts: tuple[Verdict, ...]
    environment: dict[str, Any]
    seconds: float

    def count(self, status: Status) -> int:
        """How many verdicts have this status."""
        return sum(verdict.status == status for verdict in self.verdicts)

    @property
    def failures(self) -> tuple[Verdict, ...]:
        """The verdicts that failed."""
        return tuple(v for v in self.verdicts if v.status == Status.FAILED)

    @property
    def passed(self) -> bool:
        """Whether something was judged, nothing failed, and nothing was left for want of time."""
        in_time = all(verdict.reason != TIME_OVER for verdict in self.verdicts)
        return in_time and not self.failures and self.count(Status.PASSED) > 0


def cases(
    selection: Selection,
    checks: Sequence[Check] = CHECKS,
    implementations: Sequence[Implementation] = CATALOG,
) -> list[Case]:
    """The cases that a selection stands for, those of one problem together so that its truth is computed once.

    Raises:
        UnknownName: if the selection names something that no case has; the message lists what there is.
    """
    found = list(_all_cases(selection, (*checks, *TIMES[selection.times]), implementations))
    for kind, wanted, name_of in _FILTERS:
        known = {name_of(case) for case in found}
        names = _members(getattr(selection, wanted), known)
        if unknown := names - known:
            raise UnknownName(_unknown(kind, unknown, known, selection.tier))
        found = [case for case in found if not names or name_of(case) in names]
    return found


def _members(names: tuple[str, ...], known: set[str]) -> set[str]:
    """The names, with the name of a family replaced by those of its members: "gradients" by all that begin so."""
    families = {"gradients": {name for name in known if name.startswith(gradients.FAMILY)}}
    return {member for name in names for member in families.get(name, set()) or {name}}


_FILTERS: tuple[tuple[str, str, Callable[[Case], str]], ...] = (
    ("operation", "operations", lambda case: case.check.operation),
    ("check", "checks", lambda case: case.check.name),
    ("implementation", "implementations", lambda case: case.implementation.name),
    ("problem", "problems", lambda case: case.problem.name),
)


def _unknown(kind: str, unknown: set[str], known: set[str], tier: str) -> str:
    if times := unknown & {check.name for check in TIMES["report"]}:
        return f"{', '.join(times)} is judged only with --times or --gate-times; add one of them"
    shown = sorted(known)[:60]
    more = f" and {len(known) - 60} more (ndbench list)" if len(known) > 60 else ""
    return (
        f"no {kind} is called {', '.join(sorted(unknown))} in the {tier} tier with the other options given; "
        f"there are {', '.join(shown)}{more}"
    )


def _all_cases(
    selection: Selection, checks: Sequence[Check], implementations: Sequence[Implementation]
) -> Iterator[Case]:
    for operation in dict.fromkeys(check.operation for check in checks):
        mine = [check for check in checks if check.operation == operation]
        judged = [i for i in implementations if i.operation == operation and not _elsewhere(i, selection)]
        posed = {check.name: set(check.problems[selection.tier]) for check in mine}
        for problem in dict.fromkeys(p for check in mine for p in check.problems[selection.tier]):
            for i in judged:
                yield from (
                    Case(c, i, problem, selection.device) for c in mine if problem in posed[c.name] and c.applies(i)
                )


def elsewhere(selection: Selection, implementations: Sequence[Implementation] = CATALOG) -> tuple[str, ...]:
    """Names of the implementations left out because they run on other devices; a name that is asked for is not."""
    return tuple(implementation.name for implementation in implementations if _elsewhere(implementation, selection))


def _elsewhere(implementation: Implementation, selection: Selection) -> bool:
    return selection.device not in implementation.devices and implementation.name not in selection.implementations


def run(
    chosen: Sequence[Case],
    progress: Callable[[Case, Verdict], None] = lambda case, verdict: None,
    seconds: float = math.inf,
) -> Report:
    """Run every case in order that can begin within so many seconds; `progress` is told of each."""
    started, deadline = time.perf_counter(), time.monotonic() + seconds
    verdicts = []
    for case in chosen:
        verdicts.append(case.run(deadline))
        progress(case, verdicts[-1])
    return Report(tuple(verdicts), environment(), time.perf_counter() - started)


def verify(
    function: Callable[..., Any],
    operation: str,
    *,
    target: str = "exact",
    dtypes: tuple[torch.dtype, ...] = (torch.float64, torch.float32),
    derivatives: tuple[str, ...] = (),
    device: str = "cpu",
    tier: str = "quick",
    checks: tuple[str, ...] = (),
    problems: tuple[str, ...] = (),
    law: Law | None = None,
    times: str = "off",
) -> Report:
    """Judge a function of one's own by the checks of an operation.

    Args:
        function: called as the operation's public function is: an inverse square root with A of shape (batch, n, n); a
            covariance with x, the kernel size and the keywords of `ndbench.patch_covariance`.
        operation: "inverse-sqrt", "covariance", "deconvolution" or one of the layers, "deconvolved-conv2d" and
            "deconvolved-linear".
        target: for inverse square roots, "exact" or the map it computes, such as "newton_schulz:5".
        dtypes: the types that it accepts; problems of other types are "not run".
        derivatives: what it must give: any of "reverse" (gradients), "forward" and "second"; the rungs of one that is
            neither asked for nor given are "not run".
        device: where it runs: "cpu", "cuda", or "interpreter" for Triton kernels in a process with TRITON_INTERPRET=1.
        tier: "quick" or "full".
        checks: names of the checks to run; all if empty.
        problems: names of the problems; all if empty.
        law: how its flops and its memory are claimed to grow, `ndbench.laws.PatchLaw` for covariances or `RootLaw` for
            inverse square roots; if None, as the definition's do. A function that chooses between algorithms by size
            follows no power: judge each of them.
        times: "off"; "report" to measure the exponents of times too; "gate" to judge by them.

    Returns:
        The report: `report.passed`, `report.failures` and every verdict.

    Raises:
        TypeError: if `function` cannot be called.
        ValueError: if the operation, the target, a derivative, the device, the tier, a check or a problem is unknown,
            or the law is that of another operation.

    Example:
        >>> import torch
        >>> def root_of_the_diagonal(A):
        ...     return torch.diag_embed(A.diagonal(dim1=-2, dim2=-1).rsqrt())
        >>> report = verify(root_of_the_diagonal, "inverse-sqrt")
        >>> report.passed, len(report.failures) > 100
        (False, True)
    """
    if operation not in OPERATIONS:
        raise ValueError(f"verify: operation must be one of {', '.join(OPERATIONS)}; got {operation!r}")
    for argument, value, known in (("device", device, DEVICES), ("tier", tier, TIERS), ("times", times, TIMES)):
        if value not in known:
            raise ValueError(f"verify: {argument} must be one of {', '.join(known)}; got {value!r}")
    if unknown := set(derivatives) - set(DERIVATIVES):
        raise ValueError(f"verify: derivatives are {', '.join(DERIVATIVES)}; got {', '.join(sorted(unknown))}")
    usual = DEFINITIONS.get(operation)
    if law is not None and type(law) is not type(usual):
        wanted = f"a {type(usual).__name__}" if usual else "None"
        raise ValueError(f"verify: law must be {wanted} for {operation}; got {law!r}")
    if not callable(function):
        raise TypeError(f"verify: function must be callable; got {function!r}")
    name = getattr(function, "__name__", "function")
    promises: dict[str, Any] = {"dtypes": dtypes, "derivatives": derivatives, "devices": (device,)}
    promises["law"] = law or usual
    mine = Implementation(name, operation, function, target=parse_target(target), **promises)
    chosen = Selection((operation,), checks, problems=problems, tier=tier, device=device, times=times)
    return run(cases(chosen, implementations=[mine]))
