"""How far a command is, in a log and on a terminal."""

import io
from contextlib import redirect_stdout

from ndbench.progress import LOG_WIDTH, Steps, console, tracked


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_has_a_line_at_every_tenth(capsys):
    with Steps("count", 20) as steps:
        for i in range(20):
            steps.step(f"[{i}]", "unseen")
    assert capsys.readouterr().out.splitlines() == [f"count {i}/20, [{i - 1}]" for i in range(2, 21, 2)]
    assert steps.done == 20


def test_a_terminal_has_a_bar_with_both_notes(monkeypatch):
    for name, value in (("TERM", "xterm-256color"), ("COLUMNS", "120"), ("LINES", "40")):
        monkeypatch.setenv(name, value)
    terminal = Terminal()
    with redirect_stdout(terminal), Steps("count", 2) as steps:
        steps.step("[one]", "beside")
        steps.bar.refresh()
    assert all(text in terminal.getvalue() for text in ("count", "1/2", "[one]  beside"))
    assert not steps.bar.live.is_started


def test_logs_are_of_one_width():
    with redirect_stdout(io.StringIO()):
        assert console().width == LOG_WIDTH
        assert console(200).width == 200


def test_what_is_tracked_comes_in_order_and_leaves_a_log_as_it_is(capsys):
    assert list(tracked([3, 1, 2], "count")) == [3, 1, 2]
    assert capsys.readouterr() == ("", "")
