"""Rich where it is installed, plain text elsewhere."""

import io

import pytest
from rich.console import Console as RichConsole

from ndbench import terminal


def test_rich_is_used_where_it_is_installed():
    assert terminal.RICH
    assert terminal.Console is RichConsole


@pytest.mark.parametrize(("rich", "shown"), [(True, "[bold red]\\[x][/]"), (False, "[x]")])
def test_a_style_is_markup_of_rich_alone(rich, shown, monkeypatch):
    monkeypatch.setattr(terminal, "RICH", rich)
    assert terminal.styled("[x]", "bold red") == shown


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("rich", "out", "shown"),
    [(True, Terminal(), True), (True, io.StringIO(), False), (False, Terminal(), False)],
    ids=["terminal", "log", "plain"],
)
def test_a_bar_takes_rich_and_a_terminal(rich, out, shown, monkeypatch):
    monkeypatch.setattr(terminal, "RICH", rich)
    monkeypatch.setattr("sys.stdout", out)
    assert (terminal.bar("count", RichConsole()) is not None) == shown
