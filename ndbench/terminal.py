"""How things are printed: by Rich, or as plain text where that is not installed. No other module loads Rich."""

import sys

try:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, track
    from rich.table import Table

    RICH = True
except ImportError:
    from ndbench.plain import SIMPLE_HEAD, Console, Table, escape, track  # type: ignore[assignment]

    RICH = False

__all__ = ["RICH", "SIMPLE_HEAD", "Console", "Table", "bar", "escape", "styled", "track"]


def styled(text: str, style: str) -> str:
    """The text, in which nothing is markup, in a style; plain text has none."""
    return f"[{style}]{escape(text)}[/]" if RICH else text


def bar(what: str, console: Console) -> "Progress | None":
    """A progress bar that is gone at the end; None in a log, and without Rich.

    Args:
        what: is done, the first word of the line.
        console: where it is shown.
    """
    if not (RICH and sys.stdout.isatty()):
        return None
    columns = TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, TextColumn("{task.description}"), transient=True, console=console)
