"""Whether the head is slower: one figure of each process, compared by the statistics of `ndbench.timing`."""

import math
from dataclasses import asdict, dataclass, replace

from ndbench import timing

FAILS, WARNS = 1.10, 1.05
"""Ratios of time, head over base, of a slowdown that is significant."""

REPEATS = 3
"""Times that what came out slower is measured again, at most, until it is decided."""

INCOMPARABLE = "not comparable"
"""The verdict on times that were taken in different ways, or on too few."""


@dataclass(frozen=True)
class Result:
    """One workload, contender and direction on both sides.

    Attributes:
        name: of the test, by which pytest runs it alone.
        base: seconds, the lower quartile of each process; of rounds that both sides have, if they were compared.
        head: the same.
        errors: of the answers of base and head.
        verdict: faster, same, slower, undecided or not comparable.
        ratio: head over base; NaN if they are not comparable.
        interval: of the ratio.
        first: the result that had it measured again.
        reason: why they are not comparable.
    """

    name: str
    base: tuple
    head: tuple
    errors: tuple
    verdict: str
    ratio: float
    interval: tuple
    first: "Result | None" = None
    reason: str = ""

    @property
    def decides(self):
        """Whether the verdict says anything about times."""
        return self.verdict not in ("undecided", INCOMPARABLE)

    @property
    def level(self):
        """`failure` or `warning` for a slowdown that matters, else nothing; what decides nothing acquits of none."""
        if self.first and not self.decides:
            return self.first.level
        if self.verdict != "slower" or self.ratio <= WARNS:
            return ""
        return "failure" if self.ratio > FAILS else "warning"

    @property
    def is_open(self):
        """Whether it is to be measured again: slower for the first time, or undecided since."""
        return bool(self.level) and (self.first is None or not self.decides)

    def plain(self):
        # JSON has no infinity, the end of an interval of too few samples, and no NaN
        ratio, *ends = [value if math.isfinite(value) else None for value in (self.ratio, *self.interval)]
        first = self.first and self.first.plain()
        return {**asdict(self), "ratio": ratio, "interval": ends, "level": self.level, "first": first}


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
    def incomparable(self):
        """What says nothing about the head, neither now nor when it was first measured."""
        return [result for result in self.results if result.verdict == INCOMPARABLE and not result.level]

    @property
    def disjoint(self):
        """Whether the sides have nothing in common; what was wrong in the base has no time to be compared with."""
        return not self.results and not self.wrong["base"]

    @property
    def passed(self):
        """No slowdown above the gate, no wrong answer of the head, and something in common."""
        return not self.at("failure") and not self.wrong["head"] and not self.disjoint

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
        seconds: by round, since a process may have failed in one.
    """

    about: dict
    seconds: dict

    def of(self, rounds):
        """The samples of these rounds, in their order."""
        seconds = tuple(self.seconds[turn] for turn in rounds)
        return timing.Samples(seconds, provenance=self.about, rounds="processes in turn")


def figures(runs):
    """Those of every test, by its name."""
    found = {}
    for turn, run in enumerate(runs):
        for benchmark in run.record["benchmarks"]:
            new = Figures(benchmark["extra_info"], {})
            samples = timing.Samples(tuple(benchmark["stats"]["data"]))
            found.setdefault(benchmark["fullname"], new).seconds[turn] = samples.typical
    return found


def compared(name, base, head):
    """The result of one test that both sides have, of the rounds that both have it in."""
    rounds = [turn for turn in base.seconds if turn in head.seconds]
    before, after = base.of(rounds), head.of(rounds)
    errors = (base.about["error"], head.about["error"])
    try:
        # each figure is of a process of its own
        found = timing.compare(before, after, independent=True)
    except ValueError as error:
        every = (tuple(side.seconds.values()) for side in (base, head))
        reason = str(error).removeprefix("compare: ")
        return Result(name, *every, errors, INCOMPARABLE, math.nan, (-math.inf, math.inf), reason=reason)
    return Result(name, before.seconds, after.seconds, errors, str(found.verdict), found.ratio, tuple(found.interval))
