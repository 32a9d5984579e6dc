"""Exponents of measured times: reported, and judged only where it is asked for."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import torch

from ndbench.catalog import Implementation
from ndbench.operations import patch_covariance
from ndbench.timing import Samples, interleaved
from ndbench.verify.check import Measurement
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.exponents import SECONDS
from ndbench.verify.scaling.flops import patch_law
from ndbench.verify.scaling.power_law import exponent, fit, relative_exponent, upper_half
from ndbench.verify.scaling.problems import OrderScaling, PatchScaling
from ndbench.verify.verdict import Evidence, NotRun

ROUNDS = 20
ENOUGH = 2.0
"""Seconds for one size, after which it has samples enough if it has `ndbench.timing.rounds.FEWEST`."""

REFERENCES = {4: "im2col", 2: "lagged"}
"""For each power of k claimed, the algorithm whose times a covariance may not outgrow."""

Family = PatchScaling | OrderScaling


def judged(implementation: Implementation, problem: Family) -> Measurement:
    """A time does not outgrow what may be expected by a power of 0.5 or more; a hidden factor adds about 1.

    Measured is how far the whole bootstrap interval of an exponent lies above 0. For orders it is p of t = a + b n^p,
    less 3. Times of covariances follow no exponent of flops: entries that are assembled, in memory that no cache holds,
    cost more than products (docs/scaling.md). What they may not outgrow is the reference algorithm of the law that they
    claim, timed in the same rounds: measured is the exponent of the ratio.
    """
    if isinstance(problem, OrderScaling):
        evidence = figures(implementation, problem, timed(problem, implementation)[0])
        return Measurement(float(evidence["low"]) - 3, budgets.TIME_EXCESS, evidence)
    algorithm = REFERENCES[patch_law(implementation).flops]
    reference = replace(implementation, function=partial(patch_covariance, algorithm=algorithm))
    own, of_reference = timed(problem, implementation, reference)
    excess = relative_exponent(problem.sizes, [s.seconds for s in own], [s.seconds for s in of_reference])
    beside: Evidence = {"beside": algorithm, "excess": excess.p, "excess low": excess.low, "excess high": excess.high}
    evidence = {**figures(implementation, problem, own), **beside}
    return Measurement(excess.low, budgets.TIME_EXCESS, evidence)


def reported(implementation: Implementation, problem: Family) -> Measurement:
    """The exponent p of t = a + b x^p, fitted to the upper half of the sizes, with its bootstrap interval.

    Raises:
        NotRun: always, with the exponent as evidence: times are those of one machine at one moment.
    """
    (own,) = timed(problem, implementation)
    raise NotRun("times are reported, and judged only with --gate-times", figures(implementation, problem, own))


def timed(problem: Family, *implementations: Implementation) -> list[list[Samples]]:
    """Times of a call of each implementation at each size, nothing recorded, all in the same rounds."""
    functions = {
        f"{value} {i}": torch.no_grad()(counts.call(implementation, problem.at(value)))
        for i, implementation in enumerate(implementations)
        for value in problem.values
    }
    taken = interleaved(functions, implementations[0].place, ROUNDS, ENOUGH)
    return [[taken[f"{value} {i}"] for value in problem.values] for i in range(len(implementations))]


def figures(implementation: Implementation, problem: Family, taken: Sequence[Samples]) -> Evidence:
    """The exponent of times and its interval, beside the exponent of the flops claimed."""
    p = exponent(problem.sizes, [one.seconds for one in taken])
    return {
        "variable": problem.variable,
        "counted": SECONDS,
        "exponent": p.p,
        "low": p.low,
        "high": p.high,
        "claimed exponent": claim(implementation, problem),
        "sizes": " ".join(f"{size:g}" for size in problem.sizes),
        "counts": " ".join(f"{one.typical:.3g}" for one in taken),
    }


def claim(implementation: Implementation, problem: Family) -> float:
    """The same exponent of the flops of the algorithm claimed, counted exactly, as if each took as long."""
    if isinstance(problem, OrderScaling):
        return 3.0
    law = patch_law(implementation)
    found = [float(counts.claimed(law, problem.at(value))) for value in problem.values]
    sizes, upper = upper_half(problem.sizes), upper_half(found)
    return fit(sizes, upper).p
