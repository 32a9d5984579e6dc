"""Exponents of measured times: reported, and judged only where it is asked for."""

import torch

from ndbench.catalog import Implementation
from ndbench.timing import interleaved
from ndbench.verify.check import Measurement
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.exponents import SECONDS
from ndbench.verify.scaling.flops import patch_law
from ndbench.verify.scaling.power_law import exponent, fit, upper_half
from ndbench.verify.scaling.problems import OrderScaling, PatchScaling
from ndbench.verify.verdict import Evidence, NotRun

ROUNDS = 20
ENOUGH = 2.0
"""Seconds for one size, after which it has samples enough if it has five."""


def judged(implementation: Implementation, problem: PatchScaling | OrderScaling) -> Measurement:
    """The exponent p of t = a + b x^p, fitted to the upper half of the sizes, is the claimed one within 0.5.

    Measured is how far the whole bootstrap interval lies above the exponent that the same fit finds in the flops of the
    algorithm claimed, lower orders included; a hidden factor adds about 1.
    """
    found, claimed = measured(implementation, problem), claim(implementation, problem)
    evidence: Evidence = {**found, "claimed exponent": claimed}
    return Measurement(float(found["low"]) - claimed, budgets.TIME_EXCESS, evidence)


def reported(implementation: Implementation, problem: PatchScaling | OrderScaling) -> Measurement:
    """The exponent p of t = a + b x^p, fitted to the upper half of the sizes, with its bootstrap interval.

    Raises:
        NotRun: always, with the exponent as evidence: times are those of one machine at one moment.
    """
    raise NotRun("times are reported, and judged only with --gate-times", judged(implementation, problem).evidence)


def measured(implementation: Implementation, problem: PatchScaling | OrderScaling) -> dict[str, float | str]:
    """The exponent of the time of a call, nothing recorded, and its interval."""
    functions = {str(v): torch.no_grad()(counts.call(implementation, problem.at(v))) for v in problem.values}
    taken = interleaved(functions, implementation.place, ROUNDS, ENOUGH)
    samples = [taken[str(v)].seconds for v in problem.values]
    p = exponent(problem.sizes, samples)
    return {
        "variable": problem.variable,
        "counted": SECONDS,
        "exponent": p.p,
        "low": p.low,
        "high": p.high,
        "sizes": " ".join(f"{size:g}" for size in problem.sizes),
        "counts": " ".join(f"{taken[str(v)].typical:.3g}" for v in problem.values),
    }


def claim(implementation: Implementation, problem: PatchScaling | OrderScaling) -> float:
    """The same exponent of the flops of the algorithm claimed, counted exactly, as if each took as long."""
    if isinstance(problem, OrderScaling):
        return 3.0
    law = patch_law(implementation)
    found = [float(counts.claimed(law, problem.at(value))) for value in problem.values]
    sizes, upper = upper_half(problem.sizes), upper_half(found)
    return fit(sizes, upper).p
