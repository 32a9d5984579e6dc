"""Checks of what Triton kernels multiply: padded tiles, chunks and orders included."""

from functools import lru_cache

import torch

from ndbench.catalog import Implementation
from ndbench.cost.counting import count_dots
from ndbench.covariance.patches import Patches
from ndbench.covariance_problems import CovarianceProblem
from ndbench.kernels.runtime import interpreted
from ndbench.problems import MatrixProblem
from ndbench.verify.check import Measurement
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.exponents import FLOPS, PRODUCTS, SAMPLED, growth, shown
from ndbench.verify.scaling.flops import patch_law, root_law
from ndbench.verify.scaling.problems import OrderScaling, PatchScaling
from ndbench.verify.verdict import Evidence, NotRun

SMALLEST_TILE = 16
"""Rows and columns that `tl.dot` multiplies at least."""

SMALL = (
    CovarianceProblem(2, 4, 6, 5, 3, padding=1, block=2),
    CovarianceProblem(1, 6, 9, 8, (2, 3), stride=(1, 2), dilation=(1, 2), block=3, pooled=False),
    CovarianceProblem(1, 2, 38, 27, 1),
    CovarianceProblem(1, 66, 1, 2, 1),
)
"""What is executed to be compared with the model: strips at the border, tiles and chunks that are not full, more rows
than a chunk holds, more channels than a tile."""

SMALL_MATRICES = tuple(MatrixProblem("diagonal", n, 2.0, batch=2) for n in (5, 40, 130))
"""The same for roots: in registers, in scratch, in tiles."""


def patches(implementation: Implementation, problem: PatchScaling) -> Measurement:
    """Flops of launches over the law they claim grow at most twofold from any size to a larger one.

    A tile multiplies its padding, so that sizes are those of whole tiles, in large images. Flops come from the exact
    model of launches (`ndbench.cost.kernels`); the dots that the interpreter executes on small problems must be those
    of the model, or the measure is infinite.

    Raises:
        NotRun: for kernels that have no model, and where it cannot be seen whether they follow it.
    """
    law = patch_law(implementation)
    require_interpreted(implementation)
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


def padding(implementation: Implementation, problem: PatchScaling) -> Measurement:
    """Blocks of 16 channels and more take at most twice the flops of the law they claim; evidence tells of all.

    Growth alone would not see what is too much at every size. Smaller blocks are padded to tiles, so that they take
    more: evidence has the ratio at each size, and the size from which on it stays below two.

    Raises:
        NotRun: as :func:`patches`.
    """
    law = patch_law(implementation)
    require_interpreted(implementation)
    problems = [problem.at(value) for value in problem.values]
    ratios = [modelled(implementation, one) / budgets.flops(law, one) for one in problems]
    kept = [size for i, size in enumerate(problem.values) if max(ratios[i:]) <= budgets.GROWTH]
    worst = max(r for r, size in zip(ratios, problem.values, strict=True) if size >= SMALLEST_TILE)
    evidence: Evidence = {
        "sizes": " ".join(map(str, problem.values)),
        "times the law": " ".join(f"{r:.2f}" for r in ratios),
        "kept from": f"{problem.variable} = {kept[0]}" if kept else "nowhere",
    }
    return Measurement(worst if follows_the_model(implementation) else float("inf"), budgets.GROWTH, evidence)


def orders(implementation: Implementation, problem: OrderScaling) -> Measurement:
    """Dots over n^3 grow at most twofold from any order to a larger one, and are at most twice the products claimed.

    Orders below 16 are padded to it. Above, n = 27 is multiplied as 32, and of large symmetric products one triangle.
    Flops come from the exact model, to which small problems are held as in :func:`patches`; eliminations and
    factorizations of the product form are no dots.

    Raises:
        NotRun: for kernels that have no model, and where it cannot be seen whether they follow it.
    """
    law = root_law(implementation)
    require_interpreted(implementation)
    found = [modelled(implementation, problem.at(n)) for n in problem.values]
    products = [f / (2 * n**3) for f, n in zip(found, problem.values, strict=True)]
    worst = max(growth(products, [1.0] * len(products)), max(products) / law.products if law.products else 0.0)
    evidence = {
        **shown("n", problem.sizes, found, 3, FLOPS),
        "products": " ".join(f"{p:.4g}" for p in products),
        "kept from": f"n = {problem.values[0]}",
    }
    return Measurement(worst if follows_the_model(implementation) else float("inf"), budgets.GROWTH, evidence)


def require_interpreted(implementation: Implementation) -> None:
    """Refuse to judge what is not seen.

    Raises:
        NotRun: elsewhere than in the interpreter, and for other precisions than "ieee", which it computes as that.
    """
    if not interpreted() or implementation.precision != "ieee":
        raise NotRun("Triton's interpreter alone shows what a kernel multiplies, and in ieee alone")


def modelled(implementation: Implementation, problem: CovarianceProblem | MatrixProblem) -> int:
    """Flops of all launches for a contiguous input of this problem.

    Raises:
        NotRun: for kernels that have no model.
    """
    # Triton is loaded when it is first asked for
    from ndbench.cost import kernel_rows, kernels  # noqa: PLC0415

    how = getattr(implementation.function, "keywords", {})
    if isinstance(problem, MatrixProblem):
        if how.get("method") not in kernel_rows.METHODS:
            raise NotRun("there is no model of its launches")
        A = torch.empty((problem.batch, problem.n, problem.n), dtype=problem.dtype, device="meta")
        return kernel_rows.sides(A, how["method"], how["steps"])[0].products
    models = {"im2col": kernels.im2col, "lagged": kernels.lagged}
    if how.get("algorithm") not in models:
        raise NotRun("there is no model of its launches")
    arguments = problem.arguments()
    del arguments["eps"]
    x = torch.empty((problem.N, problem.C, problem.H, problem.W), dtype=problem.dtype, device="meta")
    return sum(flops for _, flops in models[how["algorithm"]](x, Patches.of(**arguments), implementation.precision))


@lru_cache(maxsize=64)
def follows_the_model(implementation: Implementation) -> bool:
    """Whether small problems execute the dots of the model."""
    problems = SMALL if implementation.operation == "covariance" else SMALL_MATRICES
    return all(
        sum(launch.flops for launch in count_dots(counts.call(implementation, problem)))
        == modelled(implementation, problem)
        for problem in problems
    )


def has_launches(implementation: Implementation) -> bool:
    """Whether it is a kernel with a law."""
    return implementation.law is not None and "interpreter" in implementation.devices
