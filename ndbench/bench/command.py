"""`ndbench bench` and `python -m ndbench.bench`: one parser."""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from ndbench.bench import plot, tables
from ndbench.bench.registry import workloads
from ndbench.bench.run import Row, compare, record
from ndbench.bench.stored import NOTE, Stored, Unreadable
from ndbench.bench.workloads import Workload
from ndbench.cost import ceilings
from ndbench.environment import environment
from ndbench.progress import Steps
from ndbench.terminal import Console
from ndbench.timing import Incomparable
from ndbench.timing.comparison import EFFECTIVE
from ndbench.writing import obstacle_to

DESCRIPTION = """Time implementations side by side, with their errors, their memory and the fraction of the hardware's
floor that they reach: flops of the cheapest algorithm over the rate of a large product, or bytes over that of a large
copy, whichever takes longer, both measured in the same run. An implementation whose error is above what its precision
allows is called wrong and not timed. Every other is called faster, same, slower or undecided against the first
(docs/timing.md). Exits with 0 if every contender of every workload ran and is right, 1 otherwise, 2 for wrong usage."""


class Misuse(Exception):
    """What the arguments ask for cannot be done."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute")
    parser.add_argument(
        "--workload",
        action="append",
        default=[],
        metavar="TEXT",
        help="only workloads whose name contains this, large ones too; may be given several times",
    )
    parser.add_argument("--list", action="store_true", help="name the workloads of the device, and run none")
    parser.add_argument("--rounds", type=int, default=30, help="samples of each time, at least 7: fewer decide nothing")
    parser.add_argument(
        "--seconds", type=float, default=420.0, help="start no workload later than this; what is left out is named"
    )
    parser.add_argument("--json", metavar="PATH", help="write every sample and the environment to this file")
    parser.add_argument("--plot", metavar="PATH", help="draw error against time, and time against size, into this file")
    parser.add_argument("--compare", metavar="PATH", help="ratios to the run that --json stored in this file")


def execute(arguments: argparse.Namespace) -> int:
    """Run the comparisons that the arguments select; the exit status is 0 if every contender of all of them ran."""
    known = workloads(arguments.device)
    if arguments.list:
        print(*_listed(known), sep="\n")  # noqa: T201
        return 0
    try:
        chosen, base = _chosen(known, arguments), _prepared(arguments)
    except Misuse as misuse:
        print(f"ndbench bench: {misuse}", file=sys.stderr)  # noqa: T201
        return 2
    with Steps("bench", len(chosen)) as steps:
        rows, left_out = _run(chosen, arguments, steps)
    if left_out:
        steps.console.print(
            f"not run, since {arguments.seconds:g} s were over: {', '.join(left_out)}", highlight=False, markup=False
        )
    if base:
        _show_changes(steps.console, base, rows)
    if arguments.plot and any(row.typical > 0 for row in rows):
        plot.draw(rows, chosen, Path(arguments.plot))
    return int(bool(left_out) or any(row.failure for row in rows))


def _run(chosen: Sequence[Workload], arguments: argparse.Namespace, steps: Steps) -> tuple[list[Row], list[str]]:
    """The rows of all workloads that began in time, and the names of the others."""
    started = time.monotonic()
    rates = ceilings.measured(arguments.device)
    steps.console.print(tables.rates(rates), highlight=False)
    rows: list[Row] = []
    left_out: list[str] = []
    for workload in chosen:
        if time.monotonic() - started > arguments.seconds:
            left_out.append(workload.name)
            continue
        found = list(compare(workload, arguments.device, rates, arguments.rounds))
        steps.step(workload.name)
        steps.console.print(tables.table(workload.name, found))
        steps.console.print(*tables.notes(found), sep="\n", highlight=False, markup=False)
        rows += found
        if arguments.json:
            # after every workload: a run that is cut short keeps what it measured
            _save(Path(arguments.json), record(rows, rates))
    return rows, left_out


def _chosen(known: Sequence[Workload], arguments: argparse.Namespace) -> list[Workload]:
    """The workloads that the arguments name; without a name all that are not large."""
    texts = arguments.workload
    chosen = [w for w in known if any(text in w.name for text in texts) or (not texts and not w.large)]
    if not chosen:
        raise Misuse(f"no workload matches; there are {', '.join(w.name for w in known)}")
    return chosen


def _prepared(arguments: argparse.Namespace) -> Stored | None:
    """The run to compare with, if there is one; refuses what would fail after minutes of work."""
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise Misuse("there is no CUDA device; leave out --device cuda")
    if arguments.rounds < EFFECTIVE:
        raise Misuse(
            f"--rounds must be at least {EFFECTIVE}, since fewer samples decide nothing; got {arguments.rounds}"
        )
    # NaN is no number of seconds
    if not arguments.seconds > 0:
        raise Misuse(f"--seconds must be a number of seconds above 0, such as 420; got {arguments.seconds:g}")
    if arguments.plot:
        _require_format(arguments.plot)
    stored = _stored(arguments.compare, arguments.device) if arguments.compare else None
    # last, since it makes the folders
    for path in filter(None, (arguments.json, arguments.plot)):
        if obstacle := obstacle_to(Path(path)):
            raise Misuse(f"cannot write {path}: {obstacle}")
    return stored


def _stored(path: str, device: str) -> Stored:
    try:
        stored = Stored.read(Path(path))
        stored.require_comparable(environment(), device)
    except (Unreadable, Incomparable) as error:
        raise Misuse(f"cannot compare with {path}: {error}") from error
    return stored


def _require_format(path: str) -> None:
    try:
        plot.require_format(Path(path))
    except (ValueError, ImportError) as error:
        raise Misuse(f"--plot {path}: {error}") from error


def _show_changes(console: Console, base: Stored, rows: Sequence[Row]) -> None:
    found = list(base.changes(rows))
    if found:
        console.print(tables.changes(found))
        for reason in tables.reasons(found):
            console.print(reason, highlight=False, markup=False)
    commit = base.environment.get("commit", "unknown")
    counted = f"{len(found)} of {len(rows)} rows are in the stored run, of commit {commit}"
    console.print(counted, NOTE, sep="\n", highlight=False, markup=False)


def _listed(known: Sequence[Workload]) -> Iterable[str]:
    for workload in known:
        yield f"{workload.name}{' (large: runs where --workload names it)' if workload.large else ''}"


def _save(path: Path, found: object) -> None:
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of `python -m ndbench.bench`."""
    parser = argparse.ArgumentParser("python -m ndbench.bench", description=DESCRIPTION)
    add_arguments(parser)
    return execute(parser.parse_args(argv))
