"""Variants by targets: compiled, or known from before, and judged."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from ndbench.kernels.runtime import interpreted
from ndbench.kernels.variant import Variant
from ndbench.verify.resources import cache
from ndbench.verify.resources.compilation import Job
from ndbench.verify.resources.figures import Figures
from ndbench.verify.resources.gates import Compiled, Failure, failures
from ndbench.verify.resources.targets import TARGETS, Target
from ndbench.verify.resources.workers import Outcome, run

PROCESSES = 2


@dataclass(frozen=True)
class Row:
    """One variant on one target.

    Attributes:
        variant: what was compiled.
        target: for what.
        figures: what came out; None if nothing did.
        failures: the rules that are broken.
        seconds: of compiling; 0 where the figures were known.
    """

    variant: Variant
    target: Target
    figures: Figures | None
    failures: tuple[Failure, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether every rule holds."""
        return not self.failures


def survey(
    variants: Iterable[Variant],
    targets: Sequence[Target] = TARGETS,
    processes: int = PROCESSES,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Row]:
    """Judge every variant on every target that it is meant for.

    What is already known is not compiled; nor is the same thing under two names, which the key of the cache tells.

    Args:
        variants: what to compile.
        targets: for what.
        processes: how many compilers at a time.
        progress: hears how many of how many compilations are done.
    """
    if interpreted():
        raise RuntimeError("survey: Triton interprets kernels in this process; start it without TRITON_INTERPRET=1")
    pairs = [(v, target) for v in variants for target in targets if target.vendor in v.vendors]
    names = [cache.key(*pair) for pair in pairs]
    outcomes = {name: Outcome(known) for name in names if (known := cache.load(name))}
    missing = {name: Job.of(*pair) for name, pair in zip(names, pairs, strict=True) if name not in outcomes}
    places = list(missing)

    def ended(place: int, outcome: Outcome) -> None:
        name = places[place]
        outcomes[name] = outcome
        if outcome.figures:
            cache.store(name, outcome.figures)
        progress(sum(name in outcomes for name in places), len(places))

    run(list(missing.values()), processes, ended)
    return [judge(variant, target, outcomes[name]) for name, (variant, target) in zip(names, pairs, strict=True)]


def judge(variant: Variant, target: Target, outcome: Outcome) -> Row:
    """The row of what became of this variant on this target."""
    if outcome.figures is None:
        found: tuple[Failure, ...] = (Failure("compiles", outcome.error),)
    else:
        found = failures(Compiled(variant, target, outcome.figures))
    return Row(variant, target, outcome.figures, found, outcome.seconds)
