"""`ndbench verify` from its arguments to its exit status."""

import json
import re
import shlex
import subprocess
import sys
from dataclasses import replace
from functools import partial

import pytest
import torch

from ndbench import cli
from ndbench.catalog import CATALOG
from ndbench.verify import command, runner
from ndbench.verify.suite import CHECKS

SPECTRAL = CATALOG[0]
PROBLEM = "geometric-n12-k1e3-b2-float32-s0"
ONE = ["--check", "forward", "--implementation", "spectral", "--problem", PROBLEM]


@pytest.fixture
def broken_spectral(monkeypatch):
    """The spectral root, a thousandth too large."""
    wrong = replace(SPECTRAL, function=lambda A: SPECTRAL.function(A) * 1.001)
    monkeypatch.setattr(command, "cases", partial(runner.cases, implementations=(wrong,)))


SUCCESS = subprocess.CompletedProcess([], 0)


def stored(path):
    return json.loads(path.read_text())


def test_one_right_answer_exits_with_0(capsys, tmp_path):
    path = tmp_path / "report.json"
    assert command.main([*ONE, "--json", str(path)]) == 0
    (verdict,) = stored(path)["verdicts"]
    assert (verdict["check"], verdict["implementation"], verdict["problem"]) == ("forward", "spectral", PROBLEM)
    assert verdict["status"] == "passed"
    output = capsys.readouterr()
    assert re.search(r"^1 verdicts in \d+ s: 1 passed, 0 failed, 0 not run$", output.out, re.MULTILINE)
    assert output.err == ""


@pytest.mark.usefixtures("broken_spectral")
def test_a_wrong_answer_exits_with_1(capsys):
    assert command.main(ONE) == 1
    output = capsys.readouterr().out
    # a thousandth, and what rounding adds or takes, which depends on the machine
    assert re.search(rf"failed forward of spectral on {PROBLEM}: measured 0\.00[01]\d*, budget", output)


@pytest.mark.usefixtures("broken_spectral")
def test_the_command_shown_with_a_failure_judges_just_this_again(capsys, tmp_path):
    first, again = tmp_path / "first.json", tmp_path / "again.json"
    selected = [
        "--check",
        "forward",
        "--check",
        "whitening",
        "--problem",
        PROBLEM,
        "--problem",
        "identity-n12-b2-float32-s0",
    ]
    assert command.main([*selected, "--json", str(first)]) == 1
    failed = [v for v in stored(first)["verdicts"] if v["status"] == "failed"]
    commands = re.findall(r"again: (.+)", capsys.readouterr().out)
    assert len(commands) == len(failed) > 1
    program, *arguments = shlex.split(commands[-1])
    assert program == "ndbench"
    assert cli.main([*arguments, "--json", str(again)]) == 1
    assert stored(again)["verdicts"] == [failed[-1]]


def test_nothing_that_could_be_judged_exits_with_1(capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert command.main([*ONE, "--device", "cuda"]) == 1
    output = capsys.readouterr().out
    assert "no CUDA device" in output
    assert "1 verdicts in 0 s: 0 passed, 0 failed, 1 not run" in output


@pytest.mark.parametrize("option", ["operation", "check", "implementation", "problem"])
def test_an_unknown_name_exits_with_2_and_lists_what_there_is(option, capsys):
    assert command.main([f"--{option}", "nonsense"]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(
        f"ndbench verify: no {option} is called nonsense in the quick tier with the other options given; there are "
    )
    first = min(problem.name for check in CHECKS for problem in check.problems["quick"])
    listed = {"operation": "inverse-sqrt", "check": "forward", "implementation": "spectral", "problem": first}
    assert listed[option] in output.err


@pytest.mark.parametrize("arguments", [["--tier", "slow"], ["--device", "tpu"], ["--nonsense"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        command.main(arguments)
    assert raised.value.code == 2
    assert "usage: python -m ndbench.verify" in capsys.readouterr().err


def test_an_option_may_be_given_several_times(tmp_path):
    path = tmp_path / "report.json"
    both = ["--implementation", "spectral", "--implementation", "denman_beavers.converged"]
    assert command.main(["--check", "forward", *both, "--problem", PROBLEM, "--json", str(path)]) == 0
    assert [v["implementation"] for v in stored(path)["verdicts"]] == ["spectral", "denman_beavers.converged"]


def test_threads_are_set_for_the_run_alone(tmp_path):
    path, before = tmp_path / "report.json", torch.get_num_threads()
    assert command.main([*ONE, "--threads", str(before + 1), "--json", str(path)]) == 0
    assert stored(path)["environment"]["threads"] == before + 1
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("option", ["--threads", "--seconds"])
@pytest.mark.parametrize("number", ["0", "-1", "two"])
def test_threads_and_seconds_are_positive_numbers(option, number, capsys):
    with pytest.raises(SystemExit) as raised:
        command.main([option, number])
    assert raised.value.code == 2
    assert f"argument {option}: must be a positive whole number; got '{number}'" in capsys.readouterr().err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_what_has_not_begun_in_time_is_counted_and_named(jobs, capsys, monkeypatch):
    monkeypatch.setattr(command, "positive", lambda text: int(text) if text.isdecimal() else float(text))
    assert command.main([*ONE, "--seconds", "1e-9", "--jobs", jobs]) == 1
    output = capsys.readouterr().out
    assert "0 passed, 0 failed, 1 not run" in output
    assert re.search(r"1\s.*time over", output)


def test_seconds_are_handed_on_to_the_interpreter(monkeypatch):
    started = []
    monkeypatch.setattr(command, "interpreted", lambda: False)
    monkeypatch.setattr(command.subprocess, "run", lambda program, **how: started.append(program) or SUCCESS)
    assert command.main(["--device", "interpreter", "--seconds", "60"]) == 0
    assert started[0][started[0].index("--seconds") + 1] == "60"


def test_the_full_tier_has_problems_that_the_quick_one_lacks(tmp_path):
    other_seed = PROBLEM.replace("-s0", "-s1")
    arguments = [*ONE[:-1], other_seed]
    assert command.main(arguments) == 2
    assert command.main([*arguments, "--tier", "full"]) == 0


def test_runs_as_a_module(tmp_path):
    path = tmp_path / "report.json"
    asked = [sys.executable, "-m", "ndbench.verify", *ONE, "--json", str(path)]
    found = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert (found.returncode, found.stderr) == (0, "")
    assert "1 passed, 0 failed, 0 not run" in found.stdout
    assert stored(path)["counts"]["passed"] == 1


def test_the_module_hands_on_its_exit_status():
    asked = [sys.executable, "-m", "ndbench.verify", "--check", "nonsense"]
    found = subprocess.run(asked, capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 2
    assert "no check is called nonsense" in found.stderr


def test_a_file_that_cannot_be_written_is_noticed_before_the_work(tmp_path, capsys):
    (tmp_path / "taken").write_text("")
    assert command.main(["--json", str(tmp_path / "taken" / "report.json"), "--check", "order"]) == 2
    assert "cannot write" in capsys.readouterr().err
