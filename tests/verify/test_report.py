"""What is shown on a terminal and in a log, and what is stored."""

import io
import json
import math
from contextlib import redirect_stdout
from dataclasses import replace

import pytest

from ndbench.problems import MatrixProblem
from ndbench.verify.check import Check, Measurement
from ndbench.verify.report.console import Progress, show, summary
from ndbench.verify.report.record import SCHEMA, record, save
from ndbench.verify.runner import Case, Report
from ndbench.verify.verdict import Status, Verdict

nan, inf = math.nan, math.inf
PACKAGES = {"torch": "2.13.0", "numpy": "2.4.6", "scipy": "1.17.1", "python-flint": "not installed"}
ENVIRONMENT = {"python": "3.11.4", "machine": "x86_64", "threads": 1, "packages": PACKAGES, "device": "none"}
CHECK = Check("forward", "inverse-sqrt", lambda i, p: Measurement(0, 0), {})
CASE = Case(CHECK, None, MatrixProblem("identity", 1))


def verdict(measured=nan, budget=1.0, *, check="forward", implementation="spectral", **found):
    return Verdict("inverse-sqrt", check, implementation, "identity-n1", measured, budget, **found)


PASSED = verdict(0.25, evidence={"kappa": inf, "truth": "closed form"})
FAILED = verdict(3.0, evidence={"kappa": 10.0})
RAISED = verdict(reason="ValueError: A must be [finite]")
NOT_RUN = verdict(check="whitening", reason="no CUDA device", ran=False)


def report(*verdicts):
    return Report(verdicts, ENVIRONMENT, 12.4)


def shown(capsys, *verdicts):
    show(report(*verdicts))
    return capsys.readouterr().out


def unwrapped(text):
    """The titles of narrow tables are wrapped."""
    return " ".join(text.split())


def row(text, implementation):
    """The cells of a row of the first table that has it."""
    (found, *_) = [line for line in text.splitlines() if implementation in line and "│" in line]
    return [cell.strip() for cell in found.strip("│").split("│")]


@pytest.fixture
def terminal(monkeypatch):
    """A file that claims to be a terminal."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "120"), ("LINES", "40")):
        monkeypatch.setenv(name, value)
    return Terminal()


def test_a_cell_has_the_worst_ratio_and_the_count(capsys):
    text = shown(capsys, verdict(0.25), verdict(0.5), verdict(0.125, check="order"), NOT_RUN)
    assert "inverse-sqrt: worst measured / budget (1 is the gate), of how many verdicts" in unwrapped(text)
    assert row(text, "spectral") == ["spectral", "0.5 / 2", "0.12 / 1", "·"]


@pytest.mark.parametrize(("measured", "cell"), [(nan, "nan / 2"), (inf, "inf / 2"), (3.0, "3 / 2")])
def test_the_worst_of_a_cell_is_what_is_least_right(measured, cell, capsys):
    assert row(shown(capsys, verdict(0.5), verdict(measured)), "spectral") == ["spectral", cell]


def test_a_name_in_brackets_is_no_markup(capsys):
    text = shown(capsys, verdict(0.5, implementation="root[fast]"), verdict(2.0, implementation="root[slow]"))
    assert row(text, "root[fast]") == ["root[fast]", "0.5 / 1"]
    assert "failed forward of root[slow] on identity-n1" in text


def test_every_implementation_has_a_row_and_every_operation_a_table(capsys):
    covariance = Verdict("covariance", "mean", "lagged", "normal", 0.5, 1.0)
    text = shown(capsys, PASSED, verdict(0.5, implementation="scipy_power"), covariance)
    assert row(text, "scipy_power") == ["scipy_power", "0.5 / 1"]
    assert row(text, "lagged") == ["lagged", "0.5 / 1"]
    assert unwrapped(text).count("worst measured / budget") == 2


def test_many_checks_are_shown_in_several_tables(capsys):
    text = shown(capsys, *(verdict(0.5, check=f"check{i}") for i in range(11)))
    assert unwrapped(text).count("worst measured / budget") == 2
    assert all(f"check{i}" in text for i in range(11))


def test_what_was_not_run_is_counted_with_its_reason(capsys):
    elsewhere = replace(NOT_RUN, check="order")
    text = shown(capsys, PASSED, verdict(reason="beyond [float32]", ran=False), NOT_RUN, NOT_RUN, elsewhere)
    assert "· not run: 4" in unwrapped(text)
    assert row(text, "no CUDA device") == ["3", "no CUDA device", "whitening, order"]
    assert row(text, "beyond [float32]") == ["1", "beyond [float32]", "forward"]
    assert text.index("no CUDA device") < text.index("beyond [float32]")


def test_nothing_is_said_to_be_not_run_where_everything_was(capsys):
    assert "· not run" not in shown(capsys, PASSED)


def test_a_failure_is_shown_with_its_figures_and_the_command(capsys):
    lines = [line.strip() for line in shown(capsys, FAILED).splitlines()]
    start = lines.index("failed forward of spectral on identity-n1: measured 3, budget 1.")
    assert lines[start + 1 : start + 3] == ["kappa 10.0", f"again: {FAILED.rerun}"]


def test_what_an_implementation_raised_is_shown(capsys):
    text = shown(capsys, RAISED)
    assert "measured nan, budget 1. ValueError: A must be [finite]" in text


def test_summary_counts_every_status():
    found = summary(report(PASSED, FAILED, RAISED, NOT_RUN))
    assert found == "4 verdicts in 12 s: 1 passed, 2 failed, 1 not run"


@pytest.mark.parametrize(("count", "threads"), [(1, "1 thread"), (2, "2 threads")])
def test_what_computed_is_said_in_one_line(count, threads, capsys):
    show(Report((PASSED,), ENVIRONMENT | {"threads": count}, 1.0))
    packages = "torch 2.13.0, numpy 2.4.6, scipy 1.17.1, python-flint not installed"
    expected = f"Python 3.11.4 on x86_64, {packages}, {threads}, CUDA device: none"
    assert capsys.readouterr().out.splitlines()[-2] == expected


def test_a_log_is_plain(capsys):
    text = shown(capsys, PASSED, FAILED, NOT_RUN)
    assert "\x1b" not in text
    assert text.splitlines()[-1] == "3 verdicts in 12 s: 1 passed, 1 failed, 1 not run"


def test_a_terminal_has_colours(terminal):
    with redirect_stdout(terminal):
        show(report(PASSED, FAILED))
    assert "\x1b[1;31m3 / 2" in terminal.getvalue()


def test_progress_in_a_log_is_a_line_at_every_tenth(capsys):
    with Progress(20) as progress:
        for _ in range(20):
            progress.advance(CASE, PASSED)
    expected = [f"verify {done}/20, 0 failed" for done in range(2, 21, 2)]
    assert capsys.readouterr().out.splitlines() == expected


def test_progress_counts_failures(capsys):
    with Progress(3) as progress:
        for found in (PASSED, FAILED, NOT_RUN):
            progress.advance(CASE, found)
    expected = ["verify 1/3, 0 failed", "verify 2/3, 1 failed", "verify 3/3, 1 failed"]
    assert capsys.readouterr().out.splitlines() == expected


def test_progress_on_a_terminal_is_a_bar(terminal):
    with redirect_stdout(terminal), Progress(2) as progress:
        progress.advance(CASE, FAILED)
        progress.bar.refresh()
    assert "verify" in terminal.getvalue()
    assert "1/2" in terminal.getvalue()
    assert f"1 failed  {CASE.problem.name}" in terminal.getvalue()
    assert (progress.done, progress.failed) == (1, 1)


def test_the_bar_goes_away_though_something_is_raised(terminal):
    def interrupted():
        with redirect_stdout(terminal), Progress(2) as progress:
            bars.append(progress.bar)
            raise KeyboardInterrupt

    bars = []
    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert bars[0].live.is_started is False


def test_record_holds_every_verdict():
    found = record(report(PASSED, FAILED, RAISED, NOT_RUN))
    assert list(found) == ["schema", "environment", "seconds", "counts", "verdicts"]
    assert (found["schema"], SCHEMA) == (1, 1)
    assert found["environment"] == ENVIRONMENT
    assert found["counts"] == {"passed": 1, "failed": 2, "not run": 1}
    assert [v["status"] for v in found["verdicts"]] == ["passed", "failed", "failed", "not run"]


def test_record_of_one_verdict():
    (found,) = record(report(PASSED))["verdicts"]
    expected = {
        "operation": "inverse-sqrt",
        "check": "forward",
        "implementation": "spectral",
        "problem": "identity-n1",
        "status": "passed",
        "measured": 0.25,
        "budget": 1.0,
        "reason": "",
        "evidence": {"kappa": "inf", "truth": "closed form"},
    }
    assert {name: found[name] for name in expected} == expected


def test_json_comes_back_as_it_was_and_holds_no_bare_nan(tmp_path):
    path = tmp_path / "new" / "folder" / "report.json"
    original = report(PASSED, verdict(nan, inf), verdict(-inf), NOT_RUN)
    save(original, path)

    def refuse(constant):
        raise AssertionError(f"JSON has no {constant}")

    stored = json.loads(path.read_text(), parse_constant=refuse)
    assert stored == record(original)
    assert [v["measured"] for v in stored["verdicts"]] == [0.25, "nan", "-inf", "nan"]
    assert stored["verdicts"][1]["budget"] == "inf"


def test_a_report_is_written_over_the_one_before(tmp_path):
    path = str(tmp_path / "report.json")
    save(report(PASSED, FAILED), path)
    save(report(PASSED), path)
    with open(path) as file:
        assert json.load(file)["counts"] == {"passed": 1, "failed": 0, "not run": 0}


def test_statuses_are_stored_as_words():
    assert set(record(report())["counts"]) == {str(status) for status in Status}
