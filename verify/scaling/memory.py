"""The check of memory, on the record of what a call allocates."""

from ndbench.catalog import Implementation
from ndbench.verify.check import Measurement
from ndbench.verify.scaling import budgets, counts
from ndbench.verify.scaling.exponents import MEMORY, growth, shown
from ndbench.verify.scaling.flops import patch_law
from ndbench.verify.scaling.problems import MemoryScaling


def patches(implementation: Implementation, problem: MemoryScaling) -> Measurement:
    """Memory for each value of the input, over k^2 with a patch matrix and over 1 without, grows at most twofold.

    It is the difference of the peaks for images of two sizes, in copies of the input: what does not grow with the
    image, as the covariance itself, cancels.
    """
    law, copies = patch_law(implementation), []
    # what multiplies outside of PyTorch allocates there, too
    counts.require_counted(counts.flops(implementation, problem.at(problem.values[0], problem.sides[0])))
    for k in problem.values:
        small, large = (problem.at(k, side) for side in problem.sides)
        peaks = [counts.memory(implementation, one) for one in (small, large)]
        copies.append((peaks[1] - peaks[0]) / (problem.dtype.itemsize * problem.C * (large.H**2 - small.H**2)))
    sizes = [float(k) for k in problem.values]
    evidence = shown("k", sizes, copies, law.memory, MEMORY)
    return Measurement(growth(copies, [k**law.memory for k in sizes]), budgets.MEMORY_GROWTH, evidence)
