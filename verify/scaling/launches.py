"""Checks of what Triton kernels of the covariance multiply: padded tiles and chunks included."""

from functools import lru_cache

import torch

from ndbench.catalog import Implementation
from ndbench.cost.counting import count_dots
from ndbench.covariance.patches import Patches
from ndbench.covariance_problems import CovarianceProblem
from ndbench.kernels.runtime import interpreted
from ndbench.verify.check import Measurement
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.exponents import FLOPS, PRODUCTS, SAMPLED, growth, shown
from ndbench.verify.scaling.flops import patch_law
from ndbench.verify.scaling.problems import PatchScaling
from ndbench.verify.verdict import NotRun

SMALL = (
    CovarianceProblem(2, 4, 6, 5, 3, padding=1, block=2),
    CovarianceProblem(1, 6, 9, 8, (2, 3), stride=(1, 2), dilation=(1, 2), block=3, pooled=False),
    CovarianceProblem(1, 2, 38, 27, 1),
    CovarianceProblem(1, 66, 1, 2, 1),
)
"""What is executed to be compared with the model: strips at the border, tiles and chunks that are not full, more rows
than a chunk holds, more channels than a tile."""


def patches(implementation: Implementation, problem: PatchScaling) -> Measurement:
    """Flops of launches over the law they claim grow at most twofold from any size to a larger one.

    A tile multiplies its padding, so that sizes are those of whole tiles, in large images. Flops come from the exact
    model of launches (`ndbench.cost.kernels`); the dots that the interpreter executes on small problems must be those
    of the model, or the measure is infinite.

    Raises:
        NotRun: for kernels that have no model, and where it cannot be seen whether they follow it.
    """
    law = patch_law(implementation)
    if not interpreted() or implementation.precision != "ieee":
        raise NotRun("Triton's interpreter alone shows what a kernel multiplies, and in ieee alone")
    found = [modelled(implementation, problem.at(value)) for value in problem.values]
    allowed = [budgets.flops(law, problem.at(value)) for value in problem.values]
    grown = growth(found, allowed) if follows_the_model(implementation) else float("inf")
    if problem.variable == "k":
        pixels = 2 * problem.C * problem.block * problem.side**2
        what, power = (SAMPLED, 2) if problem.sampled else (PRODUCTS, law.flops)
        evidence = shown("k", problem.sizes, [f / pixels for f in found], power, what)
    else:
        evidence = shown(problem.variable, problem.sizes, found, 1, FLOPS)
    return Measurement(grown, budgets.GROWTH, evidence)


def modelled(implementation: Implementation, problem: CovarianceProblem) -> int:
    """Flops of all launches for a contiguous input of this problem.

    Raises:
        NotRun: for kernels that have no model.
    """
    # Triton is loaded when it is first asked for
    from ndbench.cost import kernels  # noqa: PLC0415

    models = {"im2col": kernels.im2col, "lagged": kernels.lagged}
    name = getattr(implementation.function, "keywords", {}).get("algorithm", "")
    if name not in models:
        raise NotRun("there is no model of its launches")
    arguments = problem.arguments()
    del arguments["eps"]
    x = torch.empty((problem.N, problem.C, problem.H, problem.W), dtype=problem.dtype, device="meta")
    return sum(flops for _, flops in models[name](x, Patches.of(**arguments), implementation.precision))


@lru_cache(maxsize=64)
def follows_the_model(implementation: Implementation) -> bool:
    """Whether small problems execute the dots of the model."""
    return all(
        sum(launch.flops for launch in count_dots(counts.call(implementation, problem)))
        == modelled(implementation, problem)
        for problem in SMALL
    )


def has_launches(implementation: Implementation) -> bool:
    """Whether it is a kernel with a law."""
    return implementation.law is not None and "interpreter" in implementation.devices
