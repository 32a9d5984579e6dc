"""The console script: its commands and what they list."""

import subprocess
import sys

import pytest

from ndbench import cli
from ndbench.catalog import CATALOG
from ndbench.verify.suite import CHECKS

PROBLEM = "geometric-n12-k1e3-b2-float32-s0"


def listed(capsys, *arguments):
    assert cli.main(["list", *arguments]) == 0
    return capsys.readouterr().out.splitlines()


def test_verify_judges(capsys):
    arguments = ["verify", "--check", "forward", "--implementation", "spectral", "--problem", PROBLEM]
    assert cli.main(arguments) == 0
    assert "1 passed, 0 failed, 0 not run" in capsys.readouterr().out


def test_verify_hands_on_the_exit_status(capsys):
    assert cli.main(["verify", "--check", "nonsense"]) == 2
    assert "ndbench verify: no check is called nonsense" in capsys.readouterr().err


def test_list_names_every_implementation_with_its_target_and_devices(capsys):
    lines = [line.split() for line in listed(capsys)]
    assert ["inverse-sqrt", "spectral", "exact", "cpu,", "cuda"] in lines
    assert ["inverse-sqrt", "newton_schulz.T5", "5", "steps", "of", "newton_schulz", "cpu,", "cuda"] in lines
    assert ["covariance", "im2col", "cpu,", "cuda"] in lines
    assert {(i.operation, i.name) for i in CATALOG} <= {tuple(line[:2]) for line in lines}


def test_list_names_every_check_with_its_first_line(capsys):
    lines = [line.split(maxsplit=2) for line in listed(capsys)]
    for check in CHECKS:
        summary = check.judge.__doc__.strip().splitlines()[0]
        assert [check.operation, check.name, summary] in lines


def test_list_is_in_three_parts(capsys):
    headings = [line for line in listed(capsys) if not line.startswith(" ")]
    assert headings == ["implementations", "checks", "problems of the quick tier"]


@pytest.mark.parametrize("module", ["ndbench", "ndbench.cli"])
def test_modules_are_the_command(module):
    command = [sys.executable, "-m", module, "verify", "--check", "nonsense"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "ndbench verify: no check is called nonsense" in done.stderr


@pytest.mark.parametrize("tier", ["quick", "full"])
def test_list_names_every_problem_once(tier, capsys):
    lines = listed(capsys, "--tier", tier)
    problems = [line.strip() for line in lines[lines.index(f"problems of the {tier} tier") + 1 :]]
    assert len(set(problems)) == len(problems)
    assert set(problems) == {p.name for check in CHECKS for p in check.problems[tier]}


@pytest.mark.parametrize("arguments", [[], ["judge"], ["list", "--tier", "slow"]])
def test_wrong_usage_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(arguments)
    assert raised.value.code == 2
    assert "usage: ndbench" in capsys.readouterr().err


def test_help_exits_with_0(capsys):
    with pytest.raises(SystemExit) as raised:
        cli.main(["verify", "--help"])
    assert raised.value.code == 0
    assert "2 for wrong usage" in " ".join(capsys.readouterr().out.split())
