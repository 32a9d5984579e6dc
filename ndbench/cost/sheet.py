"""A table that can be shown on a terminal, as Markdown, or kept as plain data."""

from collections.abc import Sequence
from dataclasses import dataclass

from ndbench.plain import markdown
from ndbench.terminal import SIMPLE_HEAD, Table


@dataclass(frozen=True)
class Sheet:
    """Cells as text.

    Attributes:
        title: above the table.
        columns: their names.
        rows: of each as many cells; the last row may be totals.
        words: how many columns, from the left, hold words rather than numbers.
        notes: lines below the table.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    words: int = 1
    notes: Sequence[str] = ()

    def rich(self) -> Table:
        """For a terminal: words go on in the next line where they do not fit, and numbers are whole."""
        table = Table(title=self.title, title_justify="left", caption="\n".join(self.notes), caption_justify="left")
        table.box, table.padding = SIMPLE_HEAD, 0
        for number, column in enumerate(self.columns):
            words = number < self.words
            table.add_column(
                column if words else column.replace(" ", "\n"),
                justify="left" if words else "right",
                overflow="fold",
                no_wrap=not words,
            )
        for row in self.rows:
            table.add_row(*row)
        return table

    def markdown(self) -> str:
        """For a page.

        Example:
            >>> print(Sheet("Costs", ["what", "flops"], [["a", "1"]]).markdown())
            Costs
            <BLANKLINE>
            | what | flops |
            |---|---:|
            | a | 1 |
        """
        numbers = [number >= self.words for number in range(len(self.columns))]
        body = markdown(self.columns, self.rows, numbers)
        return "\n".join([self.title, "", *body, *(f"\n{note}" for note in self.notes)])


def share(part: float, whole: float) -> str:
    """A part of a whole in percent, or times the whole from ten on.

    Example:
        >>> share(1, 8), share(25, 2), share(0, 0)
        ('12%', '12x', '·')
    """
    if not whole:
        return "·"
    return f"{part / whole:.0%}" if part < 10 * whole else f"{part / whole:.0f}x"


def billions(count: float) -> str:
    """Three digits of a number of flops, in units of 1e9."""
    return figure(count / 1e9)


def megabytes(count: float) -> str:
    """Three digits of a number of bytes, in units of 1e6."""
    return figure(count / 1e6)


def figure(value: float) -> str:
    """Three digits, and all those before the point.

    Example:
        >>> figure(0.012345), figure(12345.6)
        ('0.0123', '12,346')
    """
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"
