"""The checks of memory, on the record of what a call allocates."""

from ndbench.catalog import Implementation
from ndbench.covariance_problems import CovarianceProblem
from ndbench.verify.check import Measurement
from ndbench.verify.kernels import is_kernel
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.exponents import MATRICES, MEMORY, growth, shown
from ndbench.verify.scaling.flops import patch_law, root_law
from ndbench.verify.scaling.problems import MemoryScaling, OrderScaling


def patches(implementation: Implementation, problem: MemoryScaling) -> Measurement:
    """For each value of the input a call holds at most 8 copies of it, and 2 k^2 more if it claims a patch matrix.

    It is the difference of the peaks for images of two sizes, in copies of the input: what does not grow with the
    image, as the covariance itself, cancels. Fewer copies than 2 are 2 for kernels, whose partial sums grow in steps. A
    hidden factor k, G or H W exceeds any number of copies, a constant one this number. Besides, copies over the law,
    k^2 or 1, grow at most twofold. Measured is the worst ratio.
    """
    law, (_, (smallest, _)) = patch_law(implementation), problem.pairs[0]
    counts.require_recorded(implementation, smallest)
    found = [copies(implementation, *pair) for _, pair in problem.pairs]
    found = [max(f, budgets.COPIES_OF_A_KERNEL) for f in found] if is_kernel(implementation) else found
    kernels = [value if problem.variable == "k" else problem.kernel_size for value, _ in problem.pairs]
    ratios = [f / budgets.copies(law, k) for f, k in zip(found, kernels, strict=True)]
    grown = growth(found, [k**law.memory for k in kernels])
    evidence = shown(problem.variable, problem.sizes, found, law.memory if problem.variable == "k" else 0, MEMORY)
    return Measurement(max(*ratios, grown / budgets.MEMORY_GROWTH), 1.0, evidence)


def copies(implementation: Implementation, small: CovarianceProblem, large: CovarianceProblem) -> float:
    """Values held for each value that the larger of two images has more."""
    peaks = [counts.memory(implementation, problem) for problem in (small, large)]
    return (peaks[1] - peaks[0]) / (small.dtype.itemsize * small.C * (large.H * large.W - small.H * small.W))


def orders(implementation: Implementation, problem: OrderScaling) -> Measurement:
    """A call holds at most 8 matrices of order n and 3 for each product claimed, and at most twice as many at any n.

    Measured is the worst ratio: a hidden factor n grows 9-fold from n = 32 to 288. What kernels hold in registers is no
    memory, so that their matrices grow from 8 on.
    """
    counts.require_recorded(implementation, problem.at(problem.values[0]))
    held = [counts.memory(implementation, problem.at(n)) for n in problem.values]
    found = [peak / (problem.dtype.itemsize * n**2) for n, peak in zip(problem.values, held, strict=True)]
    worst = max(found) / budgets.matrices(root_law(implementation))
    least = budgets.MATRICES if is_kernel(implementation) else 0
    grown = growth([max(f, least) for f in found], [1.0] * len(found)) / budgets.MEMORY_GROWTH
    return Measurement(max(worst, grown), 1.0, shown("n", problem.sizes, found, 0, MATRICES))
