"""How far a command is: a bar on a terminal, lines in a log."""

import sys
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from ndbench.terminal import Console, bar, escape, track

T = TypeVar("T")

LOG_WIDTH = 160
"""Columns of a log: wide enough for the widest table."""


def console(width: int = LOG_WIDTH) -> Console:
    """The terminal, or a log of this width."""
    return Console(file=sys.stdout) if sys.stdout.isatty() else Console(file=sys.stdout, width=width)


def tracked(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a progress bar where standard error is a terminal, gone at the end."""
    console = Console(file=sys.stderr)
    return track(items, what, console=console, transient=True, disable=not console.is_terminal)


class Steps:
    """A progress bar on a terminal, gone at the end; elsewhere a plain line at every tenth of the way.

    Args:
        what: is done, the first word of the line.
        total: number of steps.

    Example:
        >>> with Steps("count", 2) as steps:
        ...     steps.step("one")
        ...     steps.step("two")
        count 1/2, one
        count 2/2, two
    """

    def __init__(self, what: str, total: int) -> None:
        self.what, self.total = what, total
        self.done = 0
        self.console = console()
        self.bar = bar(what, self.console)
        self.task = self.bar.add_task("", total=total) if self.bar else None

    def __enter__(self) -> Self:
        if self.bar:
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar:
            self.bar.stop()

    def step(self, note: str, beside: str = "") -> None:
        """One more is done; beside the bar, where there is more room, a second note follows the first."""
        self.done += 1
        if self.bar and self.task is not None:
            self.bar.update(self.task, advance=1, description=escape(f"{note}  {beside}".rstrip()))
        elif self.done * 10 // self.total > (self.done - 1) * 10 // self.total:
            self.console.print(f"{self.what} {self.done}/{self.total}, {note}", highlight=False, markup=False)
