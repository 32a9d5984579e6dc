"""Stand-ins for what is used of Rich, where that is not installed: plain lines, and tables of Markdown."""

import sys
from collections.abc import Sequence
from typing import Any, TextIO, TypeVar

T = TypeVar("T")

SIMPLE_HEAD = None
"""The frame of a table: that of Markdown."""


def markdown(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[bool]) -> list[str]:
    """The lines of a table.

    Args:
        columns: their names.
        rows: of each as many cells.
        numbers: of each column, whether it holds numbers rather than words.

    Example:
        >>> markdown(["what", "flops"], [["a", "1"]], [False, True])
        ['| what | flops |', '|---|---:|', '| a | 1 |']
    """
    marks = ["---:" if number else "---" for number in numbers]
    heading, *lines = (f"| {' | '.join(cells)} |" for cells in (columns, *rows))
    return [heading, f"|{'|'.join(marks)}|", *lines]


def escape(text: str) -> str:
    """The text: in plain text nothing is markup."""
    return text


class Table:
    """Columns and rows without colours.

    Args:
        columns: names of columns of words.
        title: above the table.
        caption: below it.
        appearance: what Rich makes of it.

    Example:
        >>> table = Table("what", title="Costs")
        >>> table.add_column("flops", justify="right")
        >>> table.add_row("a", "1", style="red")
        >>> str(table).splitlines()
        ['Costs', '', '| what | flops |', '|---|---:|', '| a | 1 |']
    """

    def __init__(self, *columns: str, title: str = "", caption: str = "", **appearance: Any) -> None:
        self.title, self.caption = title, caption
        self.columns: list[str] = []
        self.numbers: list[bool] = []
        self.rows: list[tuple[str, ...]] = []
        for column in columns:
            self.add_column(column)

    def add_column(self, name: str, justify: str = "left", **appearance: Any) -> None:
        """One column more; what was broken after a hyphen or at a space is one line again."""
        self.columns.append(name.replace("-\n", "-").replace("\n", " ").rstrip())
        self.numbers.append(justify == "right")

    def add_row(self, *cells: str, **appearance: Any) -> None:
        """One row more."""
        self.rows.append(cells)

    def __str__(self) -> str:
        caption = [self.caption, ""] if self.caption else []
        return "\n".join([self.title, "", *markdown(self.columns, self.rows, self.numbers), "", *caption])


class Console:
    """A file to which lines are written as they are, no terminal.

    Args:
        file: standard output by default.
        appearance: what Rich makes of it.
    """

    is_terminal = False

    def __init__(self, file: TextIO | None = None, **appearance: Any) -> None:
        self.file = file or sys.stdout

    def print(self, *shown: object, sep: str = " ", **appearance: Any) -> None:
        """Write text and tables."""
        print(*shown, sep=sep, file=self.file)


def track(items: Sequence[T], description: str, **appearance: Any) -> Sequence[T]:
    """The items, without a bar."""
    return items
