"""One honest timer: raw samples with their provenance, and what two sets of them say about each other."""

from ndbench.timing.comparison import Comparison, Incomparable, Outcome, compare, noise_floor
from ndbench.timing.events import SHORT, Events
from ndbench.timing.graphs import captured, replayed
from ndbench.timing.rounds import by_the_clock, interleaved
from ndbench.timing.samples import Samples

__all__ = [
    "SHORT",
    "Comparison",
    "Events",
    "Incomparable",
    "Outcome",
    "Samples",
    "by_the_clock",
    "captured",
    "compare",
    "interleaved",
    "noise_floor",
    "replayed",
]
