"""The page of costs shows what its commands print."""

import shlex
from pathlib import Path

import pytest

from ndbench import cli

PAGE = (Path(__file__).parents[2] / "docs" / "cost.md").read_text()
COMMANDS = [
    line.strip().removeprefix("ndbench ")
    for line in PAGE.replace("\\\n", "").splitlines()
    if line.startswith("    ndbench cost") and "--markdown" in line
]


@pytest.mark.parametrize("command", COMMANDS)
def test_its_tables_are_printed(command, capsys):
    assert cli.main(shlex.split(command)) == 0
    printed = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    assert printed
    assert set(printed) <= set(PAGE.splitlines())


def test_there_are_commands():
    assert len(COMMANDS) == 2
