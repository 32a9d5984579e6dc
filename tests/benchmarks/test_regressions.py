"""The changes that asv has to flag are what they are called, and its tables are read right."""

import pytest
import torch

from benchmarks import regressions
from benchmarks.regressions import CHANGED, CHANGES, ROOT, found_wrong, marked, same
from ndbench.cost.counting import count as counted
from ndbench.problems import MatrixProblem
from ndbench.roots import newton_schulz

A = MatrixProblem("geometric", 32, 1e3).matrices()

TABLE = """
| Change | Before [06fd] <before> | After [a1b2] <slower> |   Ratio | Benchmark (Parameter)                      |
|--------|------------------------|-----------------------|---------|--------------------------------------------|
| +      | 9.79±0.2ms             | 19.4±0.3ms            |    1.98 | inverse_sqrt.Timing.time_call('a', 'b')    |
| !      | 9.79±0.2ms             | failed                |     n/a | inverse_sqrt.Timing.time_call('b', 'b')    |
| -      | 4e-07                  | 1e-08                 |    0.03 | inverse_sqrt.Figures.track_error('a', 'b') |
|        | 4e-07                  | 4e-07                 |    1    | inverse_sqrt.Figures.track_bytes('a', 'b') |
"""


def changed(name):
    """The function after the change of that name."""
    (change,) = (change for change in CHANGES if change.name == name)
    module = {}
    exec((ROOT / CHANGED).read_text() + change.code, module)
    return module["newton_schulz"]


def distance(function):
    exact = newton_schulz(A.double(), 5)
    return float((function(A, 5) - exact).norm() / exact.norm())


def test_a_comment_changes_nothing():
    assert torch.equal(changed("unchanged")(A, 5), newton_schulz(A, 5))


def test_the_slower_one_computes_the_same_twice():
    slower = changed("slower")
    assert torch.equal(slower(A, 5), newton_schulz(A, 5))
    assert counted(lambda: slower(A, 5)).flops == 2 * counted(lambda: newton_schulz(A, 5)).flops


def test_the_less_accurate_one_is_ten_times_as_far_away():
    assert distance(changed("less-accurate")) == pytest.approx(10 * distance(newton_schulz), rel=0.1)


def test_benchmarks_are_counted_by_their_marks():
    assert marked(TABLE, "+") == {"time_call": 1}
    assert marked(TABLE, "-!") == {"time_call": 1, "track_error": 1}


def test_nothing_is_marked_in_what_asv_says_without_a_table():
    assert marked("BENCHMARKS NOT SIGNIFICANTLY CHANGED.", "-+!") == {}


@pytest.mark.parametrize(("name", "figure"), [("slower", "time_call"), ("less-accurate", "track_error")])
@pytest.mark.parametrize(
    ("row", "reasons"),
    [
        ("| +      | 1 | 2      |    2 |", []),
        ("|        | 1 | 1      |    1 |", ["asv flagged nothing"]),
        ("| -      | 2 | 1      |  0.5 |", ["asv flagged nothing", "got better, or failed"]),
        ("| !      | 1 | failed |  n/a |", ["asv flagged nothing", "got better, or failed"]),
    ],
)
def test_only_what_got_worse_counts_as_found(name, figure, row, reasons, monkeypatch):
    (change,) = (change for change in CHANGES if change.name == name)
    monkeypatch.setattr(regressions, "commit", lambda *_: None)
    monkeypatch.setattr(regressions, "asv", lambda *_: f"{row} inverse_sqrt.Timing.{figure}('a', 'b') |\n")
    wrong = list(found_wrong(None, change, 6))
    assert len(wrong) == len(reasons)
    assert all(reason in line for line, reason in zip(wrong, reasons, strict=True))


@pytest.mark.parametrize(
    ("mark", "after", "ratio", "expected"),
    [
        (" ", "4.629e-07", "1.00", True),
        (" ", "4.629e-07", "1", True),
        # the last digit of a double, which the ratio does not show
        ("+", "4.6290000000000001e-07", "1.00", False),
        ("-", "4.628e-07", "1.00", False),
        (" ", "n/a", "n/a", False),
        ("!", "failed", "n/a", False),
    ],
)
def test_a_tracked_figure_is_the_same_where_nothing_is_marked_and_nothing_missing(mark, after, ratio, expected):
    name = "inverse_sqrt.Figures.track_error('newton_schulz-T5-n288-b1', 'bmm chain')"
    table = f"| Change |\n| {mark}        | 4.629e-07 | {after} | {ratio}    | {name}       |\n"
    assert same(table, "track_error") is expected
    assert not same(table, "track_flops")
