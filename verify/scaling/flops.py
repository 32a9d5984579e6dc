"""Checks of flops, on counts of what is really executed."""

from ndbench.catalog import Implementation
from ndbench.laws import PatchLaw, RootLaw
from ndbench.verify.check import Measurement
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.exponents import FLOPS, PRODUCTS, SAMPLED, growth, shown
from ndbench.verify.scaling.problems import InteriorScaling, OrderScaling, PatchScaling
from ndbench.verify.verdict import NotRun


def patches(implementation: Implementation, problem: PatchScaling) -> Measurement:
    """Flops over the law they claim, H W C G times a power of k, grow at most twofold from any size to a larger one.

    The law has the lower orders of `budgets.flops`; a hidden factor k, G or H W grows 9, 64 and 64-fold.
    """
    law = patch_law(implementation)
    found = []
    for value in problem.values:
        found.append(counts.flops(implementation, problem.at(value)))
        counts.require_counted(found[-1])
    allowed = [budgets.flops(law, problem.at(value)) for value in problem.values]
    claimed = law.flops if problem.variable == "k" else 1
    return Measurement(
        growth(found, allowed), budgets.GROWTH, shown(problem.variable, problem.sizes, found, claimed, FLOPS)
    )


def interior(implementation: Implementation, problem: InteriorScaling) -> Measurement:
    """Away from the border every output takes at most the products claimed: k^4, or ((2k - 1)^2 + 1) / 2 with lags.

    They are counted exactly, as a difference in the number of images and in their size (`counts.parts`); measured is
    the worst ratio to what is claimed.
    """
    law = patch_law(implementation)
    found = [counts.parts(implementation, problem, k)[0] / (2 * problem.C**2) for k in problem.values]
    claimed = [law.products(k, problem.stride(k)) for k in problem.values]
    worst = max(f / c for f, c in zip(found, claimed, strict=True))
    # the paper's law is one of pixels, of which an output at stride k stands for k^2
    pixels = [problem.stride(k) ** 2 for k in problem.values]
    each = [f / p for f, p in zip(found, pixels, strict=True)]
    power = law.flops if not problem.sampled else 2
    what = SAMPLED if problem.sampled else PRODUCTS
    return Measurement(worst, 1.0, shown("k", [float(k) for k in problem.values], each, power, what))


def borders(implementation: Implementation, problem: InteriorScaling) -> Measurement:
    """Beside the interior, lags take no more flops than their exact model, for an image and for a call.

    A border has fewer pairs of pixels than the interior, so that its count is negative; whatever is multiplied there
    beyond these pairs, by any way of adding them up, is no pair of pixels. What adds up by sums counts 0, so that the
    products of `ndbench.cost.covariance` are the most that assembling needs. Measured is the worst ratio of what a call
    of one image takes, with each part at least the model's, to what the model assembles with.
    """
    patch_law(implementation)
    ratios, once_a_call, of_an_image = [], [], []
    for k in problem.values:
        _, border, once = counts.parts(implementation, problem, k)
        _, exact_border, exact = counts.parts_of_lags(problem, k)
        once_a_call.append(f"{once:.10g}")
        of_an_image.append(f"{border:.10g}")
        ratios.append((max(once, exact) + max(border - exact_border, 0)) / exact)
    evidence = {
        "sizes": " ".join(map(str, problem.values)),
        "once a call": " ".join(once_a_call),
        "border of an image": " ".join(of_an_image),
    }
    return Measurement(max(ratios), 1.0, evidence)


def orders(implementation: Implementation, problem: OrderScaling) -> Measurement:
    """Flops over n^3 grow at most twofold from any order to a larger one, up to n = 1152.

    Factorizations (eigh, Cholesky, inverse) count 0: what is judged is the products beside them.
    """
    found = []
    for n in problem.values:
        found.append(counts.flops(implementation, problem.at(n)))
        counts.require_counted(found[-1])
    cubes = [n**3 for n in problem.sizes]
    return Measurement(growth(found, cubes), budgets.GROWTH, shown("n", problem.sizes, found, 3, FLOPS))


def products(implementation: Implementation, problem: OrderScaling) -> Measurement:
    """T steps take at most the products claimed, 3T - 3 for Newton-Schulz: flops over 2 n^3, exactly, at 3 orders.

    Raises:
        NotRun: no number of products is claimed, or products are claimed and none is seen.
    """
    law = root_law(implementation)
    if law.products is None:
        raise NotRun("it claims no number of products")
    found = [counts.flops(implementation, problem.at(n)) / (2 * n**3) for n in problem.values]
    if law.products:
        counts.require_counted(int(max(found)))
    return Measurement(max(found), float(law.products), {"products": " ".join(f"{p:g}" for p in found)})


def patch_law(implementation: Implementation) -> PatchLaw:
    """The claim of a covariance.

    Raises:
        TypeError: if it is the claim of another operation.
    """
    if not isinstance(implementation.law, PatchLaw):
        raise TypeError(f"a covariance claims a PatchLaw; {implementation.name} claims {implementation.law!r}")
    return implementation.law


def root_law(implementation: Implementation) -> RootLaw:
    """The claim of an inverse square root.

    Raises:
        TypeError: if it is the claim of another operation.
    """
    if not isinstance(implementation.law, RootLaw):
        raise TypeError(f"a root claims a RootLaw; {implementation.name} claims {implementation.law!r}")
    return implementation.law
