"""What is flagged, what is not, and how both are shown."""

import json

import pytest

from benchmarks.against import command, summary
from benchmarks.against.judgement import confirmed, judged
from benchmarks.against.sides import Run, Side
from tests.benchmarks.against.synthetic import NEW, OTHER, QUICK, WHERE, benchmark, disturbed, runs

SIDES = ("base", "head")


@pytest.mark.parametrize(
    ("ratio", "verdict", "level"),
    [(1.3, "slower", "failure"), (1.075, "slower", "warning"), (1.0, "same", ""), (0.7, "faster", "")],
)
def test_a_slowdown_fails_above_ten_percent_and_warns_above_five(ratio, verdict, level):
    quick, other = judged(runs(ratio)).results
    assert (quick.verdict, quick.level) == (verdict, level)
    assert quick.ratio == pytest.approx(ratio, rel=0.02)
    assert quick.interval[0] < ratio < quick.interval[1]
    assert (other.verdict, other.level) == ("same", "")


@pytest.mark.parametrize(("rounds", "verdict"), [(command.FEWEST, "slower"), (command.FEWEST - 1, "undecided")])
def test_fewer_rounds_could_show_nothing(rounds, verdict):
    found = {side: of_side[:rounds] for side, of_side in runs(2.0).items()}
    (result, *_) = judged(found).results
    assert result.verdict == verdict
    # JSON has no infinity
    ends = json.loads(json.dumps(result.plain(), allow_nan=False))["interval"]
    assert (ends[1] is None) == (verdict == "undecided")


def test_equals_are_not_flagged():
    judgements = [judged(runs(seed=seed)) for seed in range(50)]
    assert not [result for judgement in judgements for result in judgement.results if result.level]
    assert all(judgement.passed for judgement in judgements)


def test_a_large_ratio_that_is_not_significant_passes():
    found = judged(disturbed(1.15))
    (result,) = found.results
    assert (result.verdict, result.level) == ("undecided", "")
    assert summary.outcome(found) == "Passed: 1 compared, none slower, 1 undecided"


def test_what_is_slower_once_by_chance_is_not_slower_twice():
    first = judged(runs(1.3))
    assert not first.passed
    again = judged(runs(1.0, seed=1, base={"names": (QUICK,)}, head={"names": (QUICK,)}))
    found = confirmed(first, again)
    assert found.passed
    assert [r.name for r in found.results] == [QUICK, OTHER]
    assert [r.first and r.first.level for r in found.results] == ["failure", None]
    assert not any(r.is_open for r in found.results)
    assert not confirmed(first, judged(runs(1.3, seed=1))).passed


@pytest.mark.parametrize(("ratio", "level", "passed"), [(1.3, "failure", False), (1.075, "warning", True)])
def test_noise_acquits_of_nothing(ratio, level, passed):
    first = judged(runs(ratio))
    found = confirmed(first, judged(disturbed(ratio)))
    quick, other = found.results
    assert (quick.verdict, quick.level, quick.is_open) == ("undecided", level, True)
    assert (other.first, found.passed) == (None, passed)
    again = confirmed(found, judged(disturbed(ratio, seed=1)))
    assert again.results[0].first == first.results[0]
    assert again.passed is passed
    assert confirmed(again, judged(runs(1.0, seed=1))).passed
    assert " undecided" not in summary.outcome(found).partition(":")[2]
    page = summary.markdown(found, [Side("base", None, "b" * 40), Side("head", None, "h" * 40)], WHERE, "theirs")
    mark = {"failure": "SLOWER", "warning": "slower, warning"}[level]
    assert f"| undecided; at first {mark}, {first.results[0].ratio:.3f} |" in page
    assert f"; at first {mark}, " in next(iter(summary.annotations(found)))


def test_what_cannot_be_compared_acquits_of_nothing():
    first = judged(runs(1.3))
    found = confirmed(first, judged(runs(1.3, head={"precision": "tf32x3"})))
    quick, other = found.results
    assert (quick.verdict, quick.level, quick.is_open, other.verdict) == ("not comparable", "failure", True, "same")
    assert (found.passed, found.incomparable) == (False, [])
    assert "tf32x3" in next(iter(summary.annotations(found)))
    assert summary.verdict(quick).endswith(f"; at first SLOWER, {first.results[0].ratio:.3f}")


def without(run, name):
    return Run({"benchmarks": [b for b in run.record["benchmarks"] if b["fullname"] != name]})


def drifting(rounds):
    """Both sides alike in each round, and each round twice as slow as the one before it."""
    return {side: [Run({"benchmarks": [benchmark(QUICK, [2.0**k] * 4)]}) for k in range(rounds)] for side in SIDES}


@pytest.mark.parametrize("side", SIDES)
def test_what_a_round_lacks_is_compared_in_the_other_rounds(side):
    found = drifting(12)
    found[side][4] = without(found[side][4], QUICK)
    (result,) = judged(found).results
    assert (result.verdict, result.ratio) == ("same", pytest.approx(1))
    assert result.base == result.head == tuple(2.0**k for k in range(12) if k != 4)


def test_sides_without_a_round_in_common_are_not_comparable():
    found = drifting(12)
    found["base"][:6] = [without(run, QUICK) for run in found["base"][:6]]
    found["head"][6:] = [without(run, QUICK) for run in found["head"][6:]]
    judgement = judged(found)
    (result,) = judgement.incomparable
    assert result.reason == "base must have at least two samples; got 0"
    assert (len(result.base), len(result.head)) == (6, 6)
    json.dumps(judgement.plain(), allow_nan=False)


def test_what_one_side_alone_has_is_listed():
    found = judged(runs(head={"names": (QUICK, NEW)}))
    assert found.only == {"base": [OTHER], "head": [NEW]}
    assert found.passed
    (gone,) = summary.annotations(found)
    assert gone == "::warning title=only in base::other/torch/forward: was not measured in head"


def test_sides_with_nothing_in_common_fail():
    found = judged(runs(head={"names": (NEW,)}))
    assert not found.passed
    assert summary.outcome(found) == "Failed: 0 compared, none slower, nothing in common"
    *gone, nothing = summary.annotations(found)
    assert [line.partition("::")[2].partition("::")[0] for line in gone] == ["warning title=only in base"] * 2
    assert nothing == "::error title=nothing compared::base and head have no workload in common"


def test_what_is_put_right_has_no_time_to_be_compared_with():
    reasons = dict.fromkeys((QUICK, OTHER), "the error is 0.1")
    assert judged(runs(base={"names": (), "wrong": reasons})).passed


def test_a_wrong_answer_of_the_head_fails():
    wrong = {"names": (QUICK,), "wrong": {OTHER: "the error is 0.1"}}
    found = judged(runs(head=wrong))
    assert not found.passed
    assert found.only == {"base": [], "head": []}
    assert judged(runs(base=wrong)).passed
    page = summary.markdown(found, [Side("base", None, "b" * 40), Side("head", None, "h" * 40)], WHERE, "theirs")
    assert "- `other/torch/forward`: the error is 0.1" in page
    assert list(summary.annotations(found)) == ["::error title=wrong::other/torch/forward: the error is 0.1"]


def test_the_page_of_a_slowdown():
    found = judged(runs(1.3))
    page = summary.markdown(found, [Side("base", None, "b" * 40), Side("head", None, "h" * 40)], WHERE, "theirs")
    first, about, *_ = page.split("\n\n")
    assert first == "## Failed: 2 compared, 1 slower by more than 10%"
    assert about == "base bbbbbbbbbbbb, head hhhhhhhhhhhh, on a device, driver 1.2, torch 2"
    (row,) = [line for line in page.split("<details>")[0].splitlines() if "quick/torch" in line]
    assert row.startswith("| `quick/torch/forward` | 995.7 µs | 1.30 ms | 1.300 | 1.2")
    assert row.endswith("| SLOWER | 1.0e-07 | 1.0e-07 |")
    assert "```\ntheirs\n```" in page
    assert next(iter(summary.annotations(found))).startswith("::error title=slower::quick/torch/forward: 1.")
