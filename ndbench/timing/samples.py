"""Raw times, and where they come from."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Samples:
    """Times of one function in seconds, in the order in which they were taken.

    Attributes:
        seconds: one for each round.
        captured: whether a CUDA graph was replayed, so that the time of launching from Python is not in them.
        provenance: `ndbench.environment.environment()` and how they were taken: the device and the clock, the
            warm-up, the bytes flushed before each call.
        rounds: a name of the rounds they were taken in, shared by all functions that took turns in them; sample i is
            that of round i. Empty if they took no turns.

    Example:
        >>> samples = Samples((4.0, 1.0, 3.0, 2.0, 5.0))
        >>> samples.quartiles, samples.typical
        ((1.5, 3.0, 4.5), 1.5)
        >>> Samples.of_record(samples.as_record()) == samples
        True
    """

    seconds: tuple[float, ...]
    captured: bool = False
    provenance: Mapping[str, Any] = field(default_factory=dict, hash=False)
    rounds: str = ""

    @property
    def quartiles(self) -> tuple[float, float, float]:
        """Lower quartile, median, upper quartile."""
        lower, median, upper = statistics.quantiles(self.seconds)
        return lower, median, upper

    @property
    def typical(self) -> float:
        """The lower quartile: disturbances only ever add time."""
        return self.quartiles[0]

    @property
    def measurable(self) -> bool:
        """Whether every sample is above 0, so that ratios exist; a graph's, less the flushes, may not be."""
        return min(self.seconds) > 0

    def as_record(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "seconds": list(self.seconds),
            "captured": self.captured,
            "provenance": dict(self.provenance),
            "rounds": self.rounds,
        }

    @classmethod
    def of_record(cls, record: Mapping[str, Any]) -> "Samples":
        """The samples of such a record.

        Raises:
            KeyError: if it holds no seconds.
        """
        return cls(
            tuple(float(second) for second in record["seconds"]),
            bool(record.get("captured", False)),
            dict(record.get("provenance", {})),
            str(record.get("rounds", "")),
        )
