"""Powers of a size: how counts grow beside what is claimed, and the exponents that they show."""

import math
from collections.abc import Sequence

import numpy as np

from ndbench.verify.verdict import Evidence

VARIABLES = {"k": "k", "G": "G", "C": "C", "side": "H W", "n": "n"}
"""What grows, and how a formula calls it; a side stands for the H W pixels of a square image."""

PAPER = {"k": 2, "G": 1, "C": 1, "side": 1, "n": 3}
"""The powers of the law that the paper states, O(H W k^2 C G + (k^2 G)^3), the root's in its order n = k^2 G."""

KEPT = 2.0
"""Growth beside a law that still keeps it: lags, ((2k - 1)^2 + 1) / 2 of them, are k^2 at k = 1, and below 2 k^2."""


def growth(found: Sequence[float], law: Sequence[float]) -> float:
    """How much worse found / law becomes from any size to any larger one; 1 if it never does.

    A constant factor cancels, and a hidden power p of a size that grows r-fold shows as r^p.

    Example:
        >>> growth([3.0, 6.0, 18.0], [1.0, 2.0, 3.0])
        2.0
        >>> growth([3.0, 2.0], [1.0, 1.0])
        1.0
    """
    ratios = np.asarray(found, float) / np.asarray(law, float)
    return float((ratios / np.minimum.accumulate(ratios)).max())


def fitted(sizes: Sequence[float], found: Sequence[float]) -> float:
    """The exponent p of found ~ size^p, by least squares on logarithms over all sizes."""
    return float(np.polyfit(np.log(sizes), np.log(found), 1)[0])


def last(sizes: Sequence[float], found: Sequence[float]) -> float:
    """The exponent from the last size but one to the last: lower orders count least there."""
    return math.log(found[-1] / found[-2]) / math.log(sizes[-1] / sizes[-2])


FLOPS, PRODUCTS, SAMPLED, MEMORY, MATRICES, SECONDS = (
    "flops",
    "products for each pixel",
    "products for each pixel, stride k",
    "copies of the input",
    "matrices of order n",
    "seconds",
)
"""What is counted, or measured."""


def shown(variable: str, sizes: Sequence[float], found: Sequence[float], claimed: float, what: str) -> Evidence:
    """The figures of a verdict: counts, their exponents, the one claimed, and whether the paper's law is kept.

    The paper's law says nothing about memory. Of kernel sizes it speaks in large images: its other term, (k^2 G)^3,
    would excuse all flops of small ones.

    Args:
        variable: what grew, a key of `PAPER`.
        sizes: of it.
        found: what was counted at each.
        claimed: the power claimed.
        what: was counted.
    """
    silent = what in (MEMORY, MATRICES) or (variable == "k" and what == FLOPS)
    paper = [size ** PAPER[variable] for size in sizes]
    kept = "" if silent else "kept" if growth(found, paper) <= KEPT else "not kept"
    return {
        "variable": variable,
        "counted": what,
        "exponent": fitted(sizes, found),
        "last exponent": last(sizes, found),
        "claimed exponent": claimed,
        "paper's law": kept,
        "sizes": " ".join(f"{size:g}" for size in sizes),
        "counts": " ".join(f"{count:.10g}" for count in found),
    }
