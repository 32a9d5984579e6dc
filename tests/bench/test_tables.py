"""What is printed of a run."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from ndbench.bench.stored import Change
from ndbench.bench.tables import changes, notes, rates, reasons, table
from ndbench.cost.ceilings import Ceilings
from ndbench.timing import Samples, compare
from tests.bench.synthetic_rows import WRONG, compared, row, times


def lines(shown):
    out = io.StringIO()
    Console(file=out, width=200).print(shown)
    return [
        [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")] for line in out.getvalue().splitlines()
    ]


def cells(shown, contender):
    (found,) = [line for line in lines(shown) if contender in line]
    return found


def test_every_column_has_a_heading_with_its_unit():
    (heading,) = [line for line in lines(table("squares", [row()])) if "implementation" in line]
    assert heading == [
        "implementation",
        "direction",
        "us: quartile",
        "median",
        "quartile",
        "of floor",
        "time / first",
        "interval",
        "verdict",
        "error",
        "allowed",
        "peak MiB",
    ]


def test_a_row_has_quartiles_error_floor_and_memory():
    found = cells(table("squares", [row()]), "torch")
    assert found == ["torch", "forward", "1007.0", "1015.0", "1023.0", "10%", "", "", "", "1.0e-07", "1.0e-06", "1.00"]


def test_a_backward_pass_has_no_floor():
    assert cells(table("squares", [row(direction="forward+backward")]), "torch")[5] == ""


def test_a_comparison_is_said():
    assert cells(table("squares", [row(), compared(1.5)]), "other")[6:9] == ["1.5", "1.500 to 1.500", "slower"]
    assert cells(table("squares", [row(), compared(1.0)]), "other")[6:9] == ["1", "1.000 to 1.000", "same"]


def test_a_wrong_contender_has_its_error_and_no_time():
    found = cells(table("squares", [row(), WRONG]), "off")
    assert found == ["off", "forward", "wrong", "", "", "", "", "", "", "5.0e-01", "1.0e-06", ""]


def test_a_contender_that_raised_has_nothing():
    raised = row(
        "broken", samples=None, error=float("nan"), allowed=float("nan"), memory=None, failure="ValueError: no"
    )
    assert cells(table("squares", [raised]), "broken")[2:] == ["failed"] + [""] * 9


def test_notes_tell_failures_and_noise():
    assert list(notes([row(), WRONG])) == [
        "not timed: off, forward: wrong: error 5.0e-01, its precision allows 1.0e-06",
        "noise: forward, the first contender timed twice differs from itself by 1.0%",
    ]


def test_notes_tell_why_a_row_is_undecided():
    why = "the difference is below the noise of the same version timed twice"
    found = compare(times(), times(1.1), floor=0.5)
    undecided = row("other", 1.1, comparison=found)
    assert f"undecided: other, forward: {why}" in notes([row(), undecided])
    assert cells(table("squares", [row(), undecided]), "other")[6:9] == ["1.1", "1.100 to 1.100", "undecided"]


def test_notes_tell_the_noise_of_graphs_beside_that_of_calls():
    graph = row("torch, graph", samples=replace(times(), captured=True), noise=0.02)
    assert list(notes([row(), graph])) == [
        "noise: forward, the first contender timed twice differs from itself by 1.0%",
        "noise: forward, the first graph, captured twice, differs from itself by 2.0%",
    ]


def test_times_of_launches_are_marked_on_a_gpu():
    short = row(samples=times(0.012, timed_on="cuda"))
    assert cells(table("squares", [short]), "torch")[3] == "12.2*"
    assert any("below 20 us" in note for note in notes([short]))
    graph = row(samples=replace(times(0.012, timed_on="cuda"), captured=True))
    assert cells(table("squares", [graph]), "torch")[3] == "12.2"
    assert not any("below 20 us" in note for note in notes([graph, row(samples=times(0.012))]))


def graph(*seconds):
    return row("torch, graph", samples=Samples(seconds, captured=True))


@pytest.mark.parametrize("lowest", [0.0, -1e-6])
def test_a_graph_below_what_can_be_measured_has_no_time(lowest):
    samples = [lowest] * 3 + [1e-6] * 4
    below = graph(*samples)
    assert cells(table("squares", [below]), "torch, graph")[2:9] == ["-", "-", "-", "", "", "", ""]
    assert "torch, graph, forward: below what can be measured: a quarter of the samples is not above 0" in notes(
        [below]
    )
    change = Change(below, times(), None)
    assert ["squares", "torch, graph", "forward", "1007.0", "-", "", "", ""] in lines(changes([change]))
    (reason,) = reasons([change])
    assert reason.startswith("squares, torch, graph, forward, new run: below what can be measured")
    (reason,) = reasons([Change(row(), below.samples, None)])
    assert reason.startswith("squares, torch, forward, stored run: below what can be measured")


def test_a_graph_with_one_sample_below_zero_has_times_and_no_verdict():
    once = graph(-1e-6, *[2e-6] * 7)
    assert cells(table("squares", [once]), "torch, graph")[2:6] == ["2.0", "2.0", "2.0", "5000%"]
    assert "torch, graph, forward: not compared, since 1 of 8 samples are not above 0" in notes([once])


@pytest.mark.parametrize(("factor", "quartile"), [(2.0, "2014.0"), (0.5, "503.5"), (1.0, "1007.0")])
def test_changes_tell_both_quartiles_and_the_ratio_and_give_no_verdict(factor, quartile):
    head = row(factor=factor)
    change = Change(head, times(), compare(times(), head.samples))
    told = ["1007.0", quartile, f"{factor:g}", f"{factor:.3f} to {factor:.3f}", "another job"]
    assert ["squares", "torch", "forward", *told] in lines(changes([change]))


def test_changes_give_no_reason_where_a_verdict_would_be_undecided():
    found = compare(times(), times(1.1), floor=0.5)
    assert found.reason
    assert list(reasons([Change(row("other", 1.1), times(), found)])) == []


def test_rates_have_units():
    found = rates(Ceilings(bytes=4.3e12, flops={"tf32": 4e14, "ieee": 6.7e13}))
    assert found == "measured ceilings: 4300 GB/s; Tflop/s of products: tf32 400.00, ieee 67.00"
