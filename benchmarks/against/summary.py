"""What the job page shows: Markdown, and GitHub's annotations."""

import re
import statistics
import sys

from rich.console import Console
from rich.table import Table

from benchmarks.against.judgement import FAILS, INCOMPARABLE, WARNS

MARKS = {"failure": "SLOWER", "warning": "slower, warning"}
HEAD = (
    "| | base | head | head / base | interval | verdict | error of base | of head |\n|---|--:|--:|--:|--:|---|--:|--:|"
)


def markdown(judgement, sides, where, theirs):
    """The page: the outcome, what was flagged, every comparison, and pytest-benchmark's own."""
    flagged = judgement.at("failure") + judgement.at("warning") + judgement.incomparable
    parts = [f"## {outcome(judgement)}\n\n{about(sides, where)}", *notes(judgement)]
    if flagged:
        parts.append(table(flagged))
    parts.append(folded(f"all {len(judgement.results)} comparisons", table(judgement.results)))
    parts.append(folded("pytest-benchmark's own comparison", fenced(theirs)))
    return "\n\n".join(parts) + "\n"


def saved(why, head, run):
    """The page of a run that had nothing to be compared with."""
    rows = [
        f"| `{short(b['name'])}` | {time(statistics.median(b['stats']['data']))} | {error(b['extra_info']['error'])} |"
        for b in run.record["benchmarks"]
    ]
    wrong = [f"- `{short(name)}`: {reason}" for name, reason in run.wrong.items()]
    reason, _, printed = why.partition("\n")
    # what a process printed is no Markdown
    said = f"{reason}\n\n{fenced(printed)}" if printed else reason
    title = f"## Saved, compared with nothing\n\n{said}\n\n{about([head], run.record['machine_info'])}"
    return "\n".join([title, "", "| | median | error |\n|---|--:|--:|", *rows, "", *wrong, ""])


def show(judgement, sides, where):
    """The same on a terminal."""
    console = Console(width=None if sys.stdout.isatty() else 160)
    table = Table(*("workload, contender, direction", "base", "head", "ratio", "interval", "verdict", "errors"))
    # NaN has no place in an order
    for result in sorted(judgement.results, key=lambda result: (result.verdict == INCOMPARABLE, -result.ratio)):
        table.add_row(short(result.name), *figures(result), " ".join(map(error, result.errors)))
    console.print(table)
    for line in (about(sides, where), *notes(judgement), outcome(judgement)):
        console.print(line, highlight=False, markup=False)


def outcome(judgement):
    """Passed or failed, and how many of what."""
    slower = [
        (len(judgement.at("failure")), f"slower by more than {FAILS - 1:.0%}"),
        (len(judgement.at("warning")), f"slower by more than {WARNS - 1:.0%}"),
    ]
    others = [
        (len(judgement.wrong["head"]), "wrong"),
        (len(judgement.incomparable), INCOMPARABLE),
        (sum(result.verdict == "undecided" and not result.level for result in judgement.results), "undecided"),
    ]
    found = [f"{count} {what}" for count, what in slower if count] or ["none slower"]
    found += [f"{count} {what}" for count, what in others if count]
    found += ["nothing in common"] if judgement.disjoint else []
    compared = len(judgement.results) - len(judgement.incomparable)
    return f"{'Passed' if judgement.passed else 'Failed'}: {compared} compared, {', '.join(found)}"


def about(sides, where):
    """Commits, device, driver and the version of torch; the commits alone where nothing was timed."""
    commits = ", ".join(f"{side.name} {side.commit[:12]}" for side in sides)
    if not where:
        return commits
    driver, torch = where.get("driver_version", "none"), where["packages"]["torch"]
    return f"{commits}, on {where['device']}, driver {driver}, torch {torch}"


def notes(judgement):
    """What was measured on one side alone, and the wrong answers of both."""
    for side, names in judgement.only.items():
        if names:
            yield f"Only {side} has {listed(names)}."
    for side, wrong in judgement.wrong.items():
        if wrong:
            yield f"Wrong in {side}:\n\n" + "\n".join(f"- `{short(name)}`: {why}" for name, why in wrong.items())


def annotations(judgement):
    """Lines that GitHub shows at the top of the page."""
    for level, command in (("failure", "error"), ("warning", "warning")):
        for result in judgement.at(level):
            what = result.reason or f"{result.ratio:.2f} times the base's time"
            found = f"{what}{before(result)}"
            yield annotation(command, "slower", f"{short(result.name)}: {found}")
    for result in judgement.incomparable:
        yield annotation("warning", INCOMPARABLE, f"{short(result.name)}: {result.reason}")
    for name, why in judgement.wrong["head"].items():
        yield annotation("error", "wrong", f"{short(name)}: {why}")
    for name in judgement.only["base"]:
        yield annotation("warning", "only in base", f"{short(name)}: was not measured in head")
    if judgement.disjoint:
        yield annotation("error", "nothing compared", "base and head have no workload in common")


def annotation(command, title, message):
    """One line, in which GitHub finds the line ends of the message as it writes them."""
    escaped = message.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return f"::{command} title={title}::{escaped}"


def table(results):
    return "\n".join([HEAD, *(row(result) for result in results)])


def row(result):
    return f"| `{short(result.name)}` | {' | '.join([*figures(result), *map(error, result.errors)])} |"


def figures(result):
    """Both times, their ratio with its interval, and the verdict."""
    low, high = result.interval
    times = [time(statistics.median(values)) for values in (result.base, result.head)]
    ratio = ["·", "·"] if result.verdict == INCOMPARABLE else [f"{result.ratio:.3f}", f"{low:.3f} to {high:.3f}"]
    return [*times, *ratio, verdict(result)]


def verdict(result):
    """Of the last measurement, and of the first if that is another."""
    if result.verdict == INCOMPARABLE:
        return f"{INCOMPARABLE}: {result.reason}{before(result)}"
    found = MARKS.get(result.level, result.verdict) if result.decides else result.verdict
    return found + before(result)


def before(result):
    """What had it measured again."""
    return f"; at first {MARKS[result.first.level]}, {result.first.ratio:.3f}" if result.first else ""


def short(name):
    """The workload, contender and direction of a test."""
    return name.partition("[")[2].removesuffix("]") or name


def time(seconds):
    return f"{1e6 * seconds:.1f} µs" if seconds < 1e-3 else f"{1e3 * seconds:.2f} ms"


def error(value):
    return f"{value:.1e}"


def listed(names):
    return ", ".join(f"`{short(name)}`" for name in names)


def fenced(printed):
    """What a program printed, in a fence that is longer than any in it."""
    fence = "`" * (1 + max((2, *map(len, re.findall("`+", printed)))))
    return f"{fence}\n{printed.strip()}\n{fence}"


def folded(title, content):
    return f"<details><summary>{title}</summary>\n\n{content}\n\n</details>"
