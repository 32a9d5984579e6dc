"""The table on a terminal, or in a log."""

from collections.abc import Sequence
from functools import partial

from ndbench.progress import console as terminal
from ndbench.terminal import Table, escape
from ndbench.verify.report.console import FAILED, FAILURE
from ndbench.verify.resources.columns import cells
from ndbench.verify.resources.survey import Row

LOG_WIDTH = 200
LEFT = ("variant", "target", "gates")


console = partial(terminal, LOG_WIDTH)


def progress(done: int, total: int) -> None:
    """A line at every tenth of the way."""
    if done * 10 // total > (done - 1) * 10 // total:
        console().print(f"resources {done}/{total} compiled", highlight=False)


def show(rows: Sequence[Row]) -> None:
    """The table, every failure and the count."""
    out, table = console(), Table(title="what kernels compile to", title_justify="left")
    for name in cells(rows[0]):
        table.add_column(name, justify="left" if name in LEFT else "right", no_wrap=name != "gates")
    for row in rows:
        table.add_row(*(escape(cell) for cell in cells(row).values()), style=None if row.passed else FAILURE)
    out.print(table)
    for row in rows:
        for failure in row.failures:
            what = f"{escape(row.variant.name)} on {row.target.name}"
            out.print(f"{FAILED} {failure.rule} of {what}: {escape(failure.message)}", highlight=False)
            out.print(f"       again: {again(row)}", highlight=False, soft_wrap=True)
    out.print(summary(rows), style="green" if all(row.passed for row in rows) else FAILURE, highlight=False)


def summary(rows: Sequence[Row]) -> str:
    """One line that counts."""
    failed = sum(not row.passed for row in rows)
    compiled = [row for row in rows if row.seconds]
    spent = f"{len(compiled)} compiled in {sum(row.seconds for row in compiled):.0f} s of processor time"
    return f"{len(rows)} compiled kernels, {failed} failed; {spent}, {len(rows) - len(compiled)} known from before"


def again(row: Row) -> str:
    """The command that judges this row alone."""
    return f"python -m ndbench.verify.resources --variant {row.variant.name} --target {row.target.name}"
