"""Whether the head is slower: one figure of each process, compared by the statistics of `ndbench.timing`."""

import math
from dataclasses import asdict, dataclass, replace

from ndbench import timing

FAILS, WARNS = 1.10, 1.05
"""Ratios of time, head over base, of a slowdown that is significant."""

REPEATS = 3
"""Times that what came out slower is measured again, at most, until it is decided."""


@dataclass(frozen=True)
class Result:
    """One workload, contender and direction on both sides.

    Attributes:
        name: of the test, by which pytest runs it alone.
        base: seconds, the lower quartile of each process.
        head: the same.
        errors: of the answers of base and head.
        verdict: faster, same, slower or undecided.
        ratio: head over base.
        interval: of the ratio.
        first: the result that had it measured again.
    """

    name: str
    base: tuple
    head: tuple
    errors: tuple
    verdict: str
    ratio: float
    interval: tuple
    first: "Result | None" = None

    @property
    def level(self):
        """`failure` or `warning` for a slowdown that matters, else nothing; what is undecided acquits of none."""
        if self.first and self.verdict == "undecided":
            return self.first.level
        if self.verdict != "slower" or self.ratio <= WARNS:
            return ""
        return "failure" if self.ratio > FAILS else "warning"

    @property
    def is_open(self):
        """Whether it is to be measured again: slower for the first time, or undecided since."""
        return bool(self.level) and (self.first is None or self.verdict == "undecided")

    def plain(self):
        # JSON has no infinity, the end of an interval of too few samples
        ends = [end if math.isfinite(end) else None for end in self.interval]
        first = self.first and self.first.plain()
        return {**asdict(self), "interval": ends, "level": self.level, "first": first}


@dataclass(frozen=True)
class Judgement:
    """Everything that was found out about both sides.

    Attributes:
        results: of what both sides have.
        only: names that one side alone has, by side.
        wrong: tests that failed, with the reason, by side.
    """

    results: tuple
    only: dict
    wrong: dict

    def at(self, level):
        return [result for result in self.results if result.level == level]

    @property
    def passed(self):
        """No slowdown above the gate, and no wrong answer of the head."""
        return not self.at("failure") and not self.wrong["head"]

    def plain(self):
        results = [result.plain() for result in self.results]
        return {"passed": self.passed, "only": self.only, "wrong": self.wrong, "results": results}


def judged(runs):
    """Compare the runs of "base" and "head", a list of each in the order of the rounds."""
    found = {side: figures(of_side) for side, of_side in runs.items()}
    wrong = {side: {name: why for run in of_side for name, why in run.wrong.items()} for side, of_side in runs.items()}
    both = [name for name in found["head"] if name in found["base"]]
    only = {
        side: [name for name in found[side] if name not in {**found[other], **wrong[other]}]
        for side, other in (("base", "head"), ("head", "base"))
    }
    return Judgement(tuple(compared(name, found["base"][name], found["head"][name]) for name in both), only, wrong)


def confirmed(before, again):
    """The judgement before, with the results of what was measured again in the place of those that had it measured."""
    measured = {result.name: result for result in again.results}
    results = [
        replace(measured[r.name], first=r.first or r) if r.is_open and r.name in measured else r for r in before.results
    ]
    wrong = {side: {**before.wrong[side], **again.wrong[side]} for side in before.wrong}
    return Judgement(tuple(results), before.only, wrong)


@dataclass(frozen=True)
class Figures:
    """Of one test on one side: the typical time of each process, and the error, which all processes have alike.

    Attributes:
        about: what the record tells of where it was timed, and the error.
    """

    about: dict
    seconds: list

    @property
    def samples(self):
        return timing.Samples(tuple(self.seconds), provenance=self.about, rounds="processes in turn")


def figures(runs):
    """Those of every test, by its name."""
    found = {}
    for run in runs:
        for benchmark in run.record["benchmarks"]:
            new = Figures(benchmark["extra_info"], [])
            samples = timing.Samples(tuple(benchmark["stats"]["data"]))
            found.setdefault(benchmark["fullname"], new).seconds.append(samples.typical)
    return found


def compared(name, base, head):
    """The result of one test that both sides have."""
    # each figure is of a process of its own
    found = timing.compare(base.samples, head.samples, independent=True)
    seconds = (tuple(base.seconds), tuple(head.seconds))
    errors = (base.about["error"], head.about["error"])
    return Result(name, *seconds, errors, str(found.verdict), found.ratio, tuple(found.interval))
