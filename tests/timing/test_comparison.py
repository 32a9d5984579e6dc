"""Verdicts: their meaning on samples made by hand, what is refused, and what is recorded."""

import json
import math

import numpy as np
import pytest

from ndbench.timing import Incomparable, Outcome, Samples, compare, noise_floor
from ndbench.timing.synthetic import NOISES, pair

STEADY = tuple(1 + 0.001 * (7 * i % 30) for i in range(30))


def times(factor=1.0, rounds="", **provenance):
    return Samples(tuple(factor * second for second in STEADY), provenance=provenance, rounds=rounds)


@pytest.mark.parametrize(
    ("factor", "verdict"), [(1.1, "slower"), (1 / 1.1, "faster"), (1.0, "same"), (1.02, "same"), (1 / 1.02, "same")]
)
@pytest.mark.parametrize("rounds", ["", "shared"])
def test_verdicts_on_steady_times(factor, verdict, rounds):
    found = compare(times(rounds=rounds), times(factor, rounds=rounds))
    assert found.verdict == verdict
    assert found.ratio == pytest.approx(factor)
    low, high = found.interval
    assert low <= factor * (1 + 1e-12)
    assert factor <= high * (1 + 1e-12)
    assert found.paired == bool(rounds)


def test_times_that_scatter_too_much_are_undecided():
    base, head = (Samples(tuple(np.random.default_rng(seed).lognormal(0, 0.5, 30))) for seed in (0, 1))
    found = compare(base, head)
    assert found.verdict == Outcome.UNDECIDED
    assert found.reason == "the interval holds 1 and more than the threshold"


def test_five_samples_are_too_few():
    found = compare(Samples(STEADY[:5]), Samples(tuple(2 * second for second in STEADY[:5])))
    assert found.verdict == Outcome.UNDECIDED
    assert found.reason == "too few samples for this confidence, or too correlated ones"
    assert found.interval == (0, math.inf)
    assert json.loads(json.dumps(found.as_record(), allow_nan=False))["interval"] == [0, None]


def test_a_difference_below_the_noise_of_a_version_with_itself_is_none():
    base, head = times(), times(1.1)
    assert compare(base, head, floor=0.05).verdict == Outcome.SLOWER
    found = compare(base, head, floor=0.15)
    assert found.verdict == Outcome.UNDECIDED
    assert "noise of the same version" in found.reason


def test_the_threshold_decides_what_is_the_same():
    assert compare(times(), times(1.02), threshold=0.001).verdict == Outcome.SLOWER
    assert compare(times(), times(1.1), threshold=0.2).verdict == Outcome.SAME


def test_a_drift_that_both_share_cancels_in_pairs():
    drifting = NOISES[-1]
    base, head = pair(drifting, 1.1, seed=3)
    assert compare(base, head).verdict == Outcome.SLOWER
    assert compare(base, head, paired=False).verdict == Outcome.UNDECIDED


def test_a_function_that_left_the_rounds_earlier_is_paired_with_the_first():
    base = times(rounds="shared")
    head = Samples(tuple(1.3 * second for second in STEADY[:12]), rounds="shared")
    found = compare(base, head)
    assert found.paired
    assert found.counts == (30, 12)
    assert found.verdict == Outcome.SLOWER


def test_exchanging_base_and_head_inverts_the_ratio():
    there, back = compare(times(), times(1.1)), compare(times(1.1), times())
    assert (there.verdict, back.verdict) == ("slower", "faster")
    assert there.ratio * back.ratio == pytest.approx(1)
    assert there.interval[0] * back.interval[1] == pytest.approx(1)


@pytest.mark.parametrize("rounds", ["", "shared"])
def test_a_trend_counts_as_correlation_unless_samples_are_independent(rounds):
    base = Samples(tuple(1 + 0.001 * i for i in range(12)), rounds=rounds)
    # against the trend, which no pairing takes away
    head = Samples(tuple(1.3 * (1 + 0.001 * (12 - i)) for i in range(12)), rounds=rounds)
    doubted, trusted = (compare(base, head, independent=independent) for independent in (False, True))
    assert (doubted.verdict, doubted.reason) == (
        Outcome.UNDECIDED,
        "too few samples for this confidence, or too correlated ones",
    )
    assert trusted.verdict == Outcome.SLOWER
    assert trusted.ratio == pytest.approx(1.3, rel=0.02)


def test_the_noise_floor_is_the_difference_from_itself_either_way():
    assert noise_floor(times(), times(1.25)) == pytest.approx(0.25)
    assert noise_floor(times(1.25), times()) == pytest.approx(0.25)
    assert noise_floor(times(), times()) == 0


def test_a_comparison_in_one_line():
    assert str(compare(times(), times(1.1))) == "slower: 1.100 [1.091, 1.109]"


@pytest.mark.parametrize(
    ("key", "ours", "theirs"),
    [("device", "NVIDIA H100", "NVIDIA H200"), ("threads", 1, 2), ("timed_on", "cpu", "cuda"), ("clock", "a", "b")],
)
def test_what_was_taken_otherwise_is_refused(key, ours, theirs):
    with pytest.raises(Incomparable, match=f"both must have the same {key}; base has {ours!r}, head {theirs!r}"):
        compare(times(**{key: ours}), times(**{key: theirs}))


def test_commits_and_versions_may_differ():
    assert compare(times(commit="a", packages={"torch": "1"}), times(commit="b", packages={"torch": "2"})).ratio == 1


@pytest.mark.parametrize("wrong", [0.0, -1.0, math.nan, math.inf])
def test_times_must_be_times(wrong):
    with pytest.raises(ValueError, match="times must be positive and finite; head holds"):
        compare(times(), Samples((*STEADY, wrong)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"threshold": 0.0}, "threshold must be positive; got 0"),
        ({"threshold": math.nan}, "threshold must be positive; got nan"),
        ({"confidence": 1.0}, "confidence must be between 0 and 1; got 1"),
        ({"floor": -0.1}, "floor must not be negative; got -0.1"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        compare(times(), times(), **settings)


def test_one_sample_is_refused():
    with pytest.raises(ValueError, match="base must have at least two samples; got 1"):
        compare(Samples((1.0,)), times())


def test_different_rounds_cannot_be_paired():
    assert compare(times(), times(), paired=True).paired
    assert not compare(times(rounds="a"), times(rounds="b")).paired
    with pytest.raises(ValueError, match="only samples of the same rounds can be paired"):
        compare(times(rounds="a"), times(rounds="b"), paired=True)
