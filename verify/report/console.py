"""The report on a terminal, or in a log."""

import math
from collections import Counter
from collections.abc import Sequence

from ndbench.progress import Steps
from ndbench.progress import console as terminal
from ndbench.terminal import Console, Table, escape, styled
from ndbench.verify.report import laws
from ndbench.verify.runner import Case, Report
from ndbench.verify.verdict import Status, Verdict

NOT_RUN = "·"
FAILURE = "bold red"
"""The style of what failed."""
FAILED = styled("failed", FAILURE)
MOST_COLUMNS = 8
"""Checks in one table."""
MOST_LAWS = 5
"""Exponents in one table, which are longer."""


class Progress(Steps):
    """The way through the cases of a verification, and how many have failed."""

    def __init__(self, total: int) -> None:
        super().__init__("verify", total)
        self.failed = 0

    def advance(self, case: Case, verdict: Verdict) -> None:
        """One more case is done."""
        self.failed += verdict.status == Status.FAILED
        self.step(f"{self.failed} failed", case.problem.name)


def show(report: Report, elsewhere: Sequence[str] = ()) -> None:
    """Print a table for each operation, what was not run and why, every failure, and the count.

    Args:
        report: what to show.
        elsewhere: names of the implementations that run on other devices.
    """
    console = terminal()
    for operation in dict.fromkeys(v.operation for v in report.verdicts):
        mine = [v for v in report.verdicts if v.operation == operation]
        checks = list(dict.fromkeys(v.check for v in mine))
        for i in range(0, len(checks), MOST_COLUMNS):
            console.print(_table(operation, [v for v in mine if v.check in checks[i : i + MOST_COLUMNS]]))
        show_laws(console, operation, mine)
    _show_not_run(console, report)
    for verdict in report.failures:
        _show_failure(console, verdict)
    if elsewhere:
        console.print(f"{len(elsewhere)} implementations run on other devices only (ndbench list)", highlight=False)
    console.print(_where(report), highlight=False)
    console.print(summary(report), style="green" if report.passed else FAILURE, highlight=False)


def summary(report: Report) -> str:
    """One line that counts the verdicts by status."""
    counts = ", ".join(f"{report.count(status)} {status}" for status in Status)
    return f"{len(report.verdicts)} verdicts in {report.seconds:.0f} s: {counts}"


def _where(report: Report) -> str:
    """One line that says what computed."""
    found = report.environment
    threads = f"{found['threads']} thread{'s' if found['threads'] > 1 else ''}"
    packages = ", ".join(f"{name} {found['packages'][name]}" for name in ("torch", "numpy", "scipy", "python-flint"))
    return f"Python {found['python']} on {found['machine']}, {packages}, {threads}, CUDA device: {found['device']}"


def _table(operation: str, verdicts: list[Verdict]) -> Table:
    """Implementations by checks; in each cell the worst measured / budget, and how many verdicts it is the worst of."""
    table = Table(
        title=f"{operation}: worst measured / budget (1 is the gate), of how many verdicts", title_justify="left"
    )
    checks = list(dict.fromkeys(v.check for v in verdicts))
    table.add_column("implementation", no_wrap=True)
    for check in checks:
        table.add_column(check.replace("-", "-\n"), justify="right", no_wrap=True)
    for implementation in dict.fromkeys(v.implementation for v in verdicts):
        mine = [v for v in verdicts if v.implementation == implementation]
        table.add_row(escape(implementation), *(_cell([v for v in mine if v.check == check]) for check in checks))
    return table


def show_laws(console: Console, operation: str, verdicts: Sequence[Verdict]) -> None:
    """Print the exponents that counts and times show beside those claimed, and who keeps the paper's law."""
    header, *rows = laws.table(verdicts)
    for i in range(1, len(header) if rows else 0, MOST_LAWS):
        table = Table(title=f"{operation}: {laws.TITLE}", title_justify="left")
        for column in (header[0], *header[i : i + MOST_LAWS]):
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*map(escape, (row[0], *row[i : i + MOST_LAWS])))
        console.print(table)


def _cell(verdicts: list[Verdict]) -> str:
    ran = [v for v in verdicts if v.ran]
    if not ran:
        return NOT_RUN
    worst = max((v.ratio for v in ran), key=lambda ratio: math.inf if math.isnan(ratio) else ratio)
    text = f"{worst:.2g} / {len(ran)}"
    return text if all(v.passed for v in ran) else styled(text, FAILURE)


def _show_not_run(console: Console, report: Report) -> None:
    """Print each reason with its count and the checks that gave it."""
    found = [v for v in report.verdicts if v.status == Status.NOT_RUN]
    if not found:
        return
    table = Table("not run", "reason", "checks", title=f"{NOT_RUN} not run: {len(found)}", title_justify="left")
    for reason, count in Counter(v.reason for v in found).most_common():
        checks = dict.fromkeys(v.check for v in found if v.reason == reason)
        table.add_row(str(count), escape(reason), ", ".join(checks))
    console.print(table)


def _show_failure(console: Console, verdict: Verdict) -> None:
    console.print(
        f"{FAILED} {verdict.check} of {escape(verdict.implementation)} on {escape(verdict.problem)}: "
        f"measured {verdict.measured:.3g}, budget {verdict.budget:.3g}. {escape(verdict.reason)}",
        highlight=False,
    )
    if verdict.evidence:
        evidence = ", ".join(f"{name} {value}" for name, value in verdict.evidence.items())
        console.print(f"       {escape(evidence)}", highlight=False)
    console.print(f"       again: {escape(verdict.rerun)}", highlight=False, soft_wrap=True)
