"""What two sets of samples say: faster, same, slower, or undecided."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from ndbench.timing.intervals import Array, Interval, correlation, correlation_time, of_differences, of_samples
from ndbench.timing.samples import Samples

CONFIDENCE = 0.998
"""For independent samples one comparison in 500 of equals may be called different: a table has tens of rows.
Correlation is estimated from the same few samples, and one in 50 may where it is strong (docs/timing.md)."""

EFFECTIVE = 7
"""Independent samples that a decision needs at this confidence; correlated ones must be worth as many."""

DRIFTING = 0.8
"""Correlation within rounds above which both times follow the machine, and only differences tell of them."""

ALONE = 0.75
"""Standard errors added to the correlation of differences where these alone tell: they keep false alarms below 2 %."""

THRESHOLD = 0.05
"""Relative difference within which two times are the same for all purposes."""

PRECISION = ("precision", "float32_matmul_precision", "cudnn_allow_tf32")
"""Of what was timed: how float32 was multiplied, and PyTorch's settings of it."""

MUST_AGREE = ("timed_on", "device", "processor", "threads", "clock", *PRECISION)
"""Of two provenances; the commit and versions are what one wants to compare."""


class Outcome(StrEnum):
    """What a comparison of head with base says of head."""

    FASTER = "faster"
    SAME = "same"
    SLOWER = "slower"
    UNDECIDED = "undecided"


class Incomparable(ValueError):
    """The two were not taken in the same way, or on the same hardware."""


@dataclass(frozen=True)
class Comparison:
    """The verdict on head against base.

    Attributes:
        verdict: "faster", "same", "slower" or "undecided".
        ratio: time of head over time of base.
        interval: that holds the ratio with the confidence, approximately for correlated samples.
        confidence: of the interval, for independent samples.
        threshold: relative difference that counts as the same.
        floor: relative difference that the same version has from itself.
        paired: whether samples of the same rounds were compared with each other too.
        counts: samples of base and of head.
        reason: why it is undecided; empty otherwise.
    """

    verdict: Outcome
    ratio: float
    interval: tuple[float, float]
    confidence: float
    threshold: float
    floor: float
    paired: bool
    counts: tuple[int, int]
    reason: str = ""

    def __str__(self) -> str:
        """One line for a table or a log."""
        low, high = self.interval
        text = f"{self.verdict}: {self.ratio:.3f} [{low:.3f}, {high:.3f}]"
        return f"{text}, {self.reason}" if self.reason else text

    def as_record(self) -> dict[str, Any]:
        """Plain data for JSON; an end of the interval that is infinite is None."""
        ends = [end if math.isfinite(end) else None for end in self.interval]
        return {**asdict(self), "interval": ends, "verdict": str(self.verdict)}


def compare(
    base: Samples,
    head: Samples,
    *,
    threshold: float = THRESHOLD,
    confidence: float = CONFIDENCE,
    floor: float = 0.0,
    paired: bool | None = None,
    independent: bool = False,
) -> Comparison:
    """Compare two sets of times.

    All of it is on logarithms, so that a difference is a ratio. With alpha = 1 - confidence:

    - not paired: the interval of the shift between the two sets (Mann-Whitney, `intervals.of_samples`) at alpha;
    - paired (sample i of both is from round i of the same run): in addition the interval of the center of the
      differences by rounds (Wilcoxon, `intervals.of_differences`), both at alpha / 2, and the intersection counts
      (Bonferroni). The first is narrow where a few rounds are disturbed, the second where the machine drifts.

    Each holds the ratio with the probability that it claims for independent samples of two distributions that differ by
    the ratio alone; that of Mann-Whitney on pairs for those without correlation within a round too. For others

    - both are widened by sqrt(tau), the larger correlation time of the differences and of the two sets, and there is
      no interval at all where fewer than 7 independent samples would tell as much. If both sets share a drift, of which
      the differences are free, these alone tell, and three quarters of a standard error are added to their correlation;
    - that of Mann-Whitney is widened by sqrt(1 - rho) where the correlation rho within a round is negative.

    Both are estimates from the same samples, so the probability is then approximate. How often it fails is measured:
    docs/timing.md. Then head is

    - "same" if the whole interval lies in [1 / (1 + threshold), 1 + threshold]: a test of equivalence;
    - "slower" or "faster" if the interval excludes 1, and the ratio differs from 1 by more than floor;
    - "undecided" otherwise.

    Args:
        base: what head is compared with.
        head: what is judged.
        threshold: relative difference that counts as the same, positive.
        confidence: that the interval holds the ratio, for independent samples.
        floor: the noise of the same version timed twice, see :func:`noise_floor`.
        paired: None for yes if both come from the same rounds.
        independent: whether samples of one set are independent but for a drift that both share, as those of processes
            that take turns, one from each. Their own correlation then counts for nothing: of a dozen samples it is
            estimated badly.

    Returns:
        the verdict with its evidence. It depends on the samples only: nothing is drawn at random.

    Raises:
        Incomparable: if both tell where they come from, and devices, clocks, threads or precisions differ.
        ValueError: if there are fewer than two samples or one is not positive and finite; the threshold is not
            positive, the confidence not between 0 and 1, the floor negative; or paired samples name
            different rounds.

    Example:
        >>> base = Samples(tuple(1 + 0.001 * (7 * i % 30) for i in range(30)))
        >>> head = Samples(tuple(1.1 * second for second in base.seconds))
        >>> print(compare(base, head))
        slower: 1.100 [1.091, 1.109]
        >>> compare(base, base).verdict == "same"
        True

    References:
        Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, Wiley 2014, chapters 3 and 4.
        Schuirmann, A comparison of the two one-sided tests procedure, J. Pharmacokinetics and Biopharmaceutics 15,
        1987, for "same" by an interval.
    """
    _require_settings(threshold, confidence, floor)
    require_comparable(base.provenance, head.provenance)
    together = _taken_together(base, head, paired)
    x, y = _logarithms(base, "base"), _logarithms(head, "head")
    shift = (_paired if together else _apart)(x, y, 1 - confidence, independent)
    verdict, reason = _verdict(shift, math.log1p(threshold), math.log1p(floor))
    ends = tuple(_exp(end) for end in (shift.low, shift.high))
    return Comparison(
        verdict=verdict,
        ratio=_exp(shift.estimate),
        interval=(ends[0], ends[1]),
        confidence=confidence,
        threshold=threshold,
        floor=floor,
        paired=together,
        counts=(len(x), len(y)),
        reason=reason,
    )


def noise_floor(first: Samples, again: Samples) -> float:
    """The relative difference of the same version, timed twice: what `compare` takes as floor.

    What scatters is in the interval of a comparison already. This is what two functions that are one have between them
    for other reasons: places in memory, neighbours in the rounds.

    Example:
        >>> round(noise_floor(Samples((1.0, 1.0, 1.0)), Samples((1.02, 1.02, 1.02))), 4)
        0.02
    """
    ratio = compare(first, again).ratio
    return max(ratio, 1 / ratio) - 1


def require_comparable(base: Mapping[str, Any], head: Mapping[str, Any]) -> None:
    """Refuse samples from different devices, or taken in different ways.

    Raises:
        Incomparable: if both tell what differs.
    """
    for key in MUST_AGREE:
        ours, theirs = base.get(key), head.get(key)
        if ours is not None and theirs is not None and ours != theirs:
            raise Incomparable(
                f"compare: both must have the same {key}; base has {ours!r}, head {theirs!r}; time both on one device"
            )


def _verdict(shift: Interval, threshold: float, floor: float) -> tuple[Outcome, str]:
    if -threshold <= shift.low and shift.high <= threshold:
        return Outcome.SAME, ""
    if math.isinf(shift.width):
        return Outcome.UNDECIDED, "too few samples for this confidence, or too correlated ones"
    if shift.low <= 0 <= shift.high:
        return Outcome.UNDECIDED, "the interval holds 1 and more than the threshold"
    if not abs(shift.estimate) > floor:
        return Outcome.UNDECIDED, "the difference is below the noise of the same version timed twice"
    return (Outcome.SLOWER if shift.estimate > 0 else Outcome.FASTER), ""


def _taken_together(base: Samples, head: Samples, paired: bool | None) -> bool:
    if paired is None:
        return bool(base.rounds) and base.rounds == head.rounds
    if paired and base.rounds != head.rounds:
        raise ValueError("compare: only samples of the same rounds can be paired; these name different ones")
    return paired


def _apart(x: Array, y: Array, alpha: float, independent: bool) -> Interval:
    interval = of_samples(x, y, alpha)
    if independent:
        return interval
    widest = max(correlation_time(x), correlation_time(y))
    return _known(interval.widened(math.sqrt(widest)), min(len(x), len(y)), correlation_time(x, y))


def _paired(x: Array, y: Array, alpha: float, independent: bool) -> Interval:
    # a slow function leaves the rounds earlier
    rounds = min(len(x), len(y))
    d, rho = y[:rounds] - x[:rounds], correlation(x[:rounds], y[:rounds])
    # a drift that both share cancels: only the correlation of the differences counts, one series instead of two
    drifting = rho > DRIFTING and not independent
    between = correlation_time(d, errors=ALONE if drifting else 0.0)
    own = 1.0 if independent else between if drifting else correlation_time(x[:rounds], y[:rounds])
    factor = math.sqrt(max(between, own))
    by_rounds = of_differences(d, alpha / 2).widened(factor)
    as_sets = of_samples(x, y, alpha / 2).widened(factor * math.sqrt(max(1.0, 1 - rho)))
    return _known(_intersection(by_rounds, as_sets), rounds, own)


def _known(interval: Interval, samples: int, tau: float) -> Interval:
    """The interval; everything, if so many samples of this correlation time decide nothing."""
    if tau > max(1.0, samples / EFFECTIVE):
        return Interval(-math.inf, interval.estimate, math.inf)
    return interval


def _intersection(first: Interval, second: Interval) -> Interval:
    """What both hold, with the estimate of the narrower one; if nothing, all that either holds."""
    narrower = min(first, second, key=lambda interval: interval.width)
    low, high = max(first.low, second.low), min(first.high, second.high)
    if low > high:
        low, high = min(first.low, second.low), max(first.high, second.high)
    return Interval(low, min(max(narrower.estimate, low), high), high)


def _logarithms(samples: Samples, name: str) -> Array:
    seconds = np.array(samples.seconds, dtype=np.float64)
    if len(seconds) < 2:
        raise ValueError(f"compare: {name} must have at least two samples; got {len(seconds)}")
    if not (np.isfinite(seconds) & (seconds > 0)).all():
        worst = float(seconds[~(np.isfinite(seconds) & (seconds > 0))][0])
        raise ValueError(f"compare: times must be positive and finite; {name} holds {worst}; time more calls at once")
    return np.log(seconds)


def _require_settings(threshold: float, confidence: float, floor: float) -> None:
    if not threshold > 0:
        raise ValueError(f"compare: threshold must be positive; got {threshold}")
    if not 0 < confidence < 1:
        raise ValueError(f"compare: confidence must be between 0 and 1; got {confidence}")
    if not floor >= 0:
        raise ValueError(f"compare: floor must not be negative; got {floor}")


def _exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf
