"""`ndbench bench` and `python -m ndbench.bench`: one parser."""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from ndbench.bench import ceilings
from ndbench.bench.registry import workloads
from ndbench.bench.run import Row, compare, record
from ndbench.timing import Samples

DESCRIPTION = """Time implementations side by side, with their errors and the fraction of the hardware's floor that they
reach: flops of the cheapest algorithm over the rate of a large product, or bytes over that of a large copy, whichever
takes longer, both measured in the same run."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `bench`."""
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where to compute")
    parser.add_argument(
        "--workload", action="append", default=[], metavar="TEXT", help="only workloads whose name contains this"
    )
    parser.add_argument("--rounds", type=int, default=30, help="samples of each time, at least 5")
    parser.add_argument(
        "--seconds", type=float, default=420.0, help="start no workload later than this; what is left out is named"
    )
    parser.add_argument("--json", metavar="PATH", help="write every sample and the environment to this file")


def execute(arguments: argparse.Namespace) -> int:
    """Run the comparisons that the arguments select; the exit status is 0 if every contender of all of them ran."""
    if arguments.device == "cuda" and not torch.cuda.is_available():
        return _refuse("there is no CUDA device; leave out --device cuda")
    if arguments.rounds < 5:
        return _refuse(f"--rounds must be at least 5; got {arguments.rounds}")
    known = workloads(arguments.device)
    chosen = [w for w in known if not arguments.workload or any(text in w.name for text in arguments.workload)]
    if not chosen:
        return _refuse(f"no workload matches; there are {', '.join(w.name for w in known)}")
    started = time.monotonic()
    console = Console(width=None if sys.stdout.isatty() else 160)
    rates = ceilings.measured(arguments.device)
    console.print(_rates(rates), highlight=False)
    rows: list[Row] = []
    left_out: list[str] = []
    for workload in chosen:
        if time.monotonic() - started > arguments.seconds:
            left_out.append(workload.name)
            continue
        found = list(compare(workload, arguments.device, rates, arguments.rounds))
        console.print(table(workload.name, found))
        rows += found
        if arguments.json:
            # after every workload: a run that is cut short keeps what it measured
            _save(Path(arguments.json), record(rows, rates))
    if left_out:
        console.print(f"not run, since {arguments.seconds:.0f} s were over: {', '.join(left_out)}", highlight=False)
    return int(bool(left_out) or any(row.failure for row in rows))


def table(name: str, rows: Sequence[Row]) -> Table:
    """Microseconds as quartiles, the fraction of the floor in the forward pass, and the error."""
    found = Table(title=name, title_justify="left")
    found.add_column("implementation", no_wrap=True)
    for column in ("direction", "us: quartile", "median", "quartile", "of floor", "error"):
        found.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        found.add_row(row.contender, row.direction, *_figures(row))
    return found


def _figures(row: Row) -> tuple[str, ...]:
    if row.failure:
        return (row.failure[:60], "", "", "", "")
    times = [f"{1e6 * quartile:.1f}" for quartile in Samples(row.seconds).quartiles]
    fraction = f"{row.floor / row.typical:.0%}" if row.direction == "forward" else ""
    return (*times, fraction, f"{row.error:.1e}")


def _rates(rates: ceilings.Ceilings) -> str:
    products = ", ".join(f"{precision} {rate / 1e12:.2f}" for precision, rate in rates.flops.items())
    return f"measured ceilings: {rates.bytes / 1e9:.0f} GB/s; Tflop/s of float32 products: {products}"


def _save(path: Path, found: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")


def _refuse(message: str) -> int:
    print(f"ndbench bench: {message}", file=sys.stderr)  # noqa: T201
    return 2


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of `python -m ndbench.bench`."""
    parser = argparse.ArgumentParser("python -m ndbench.bench", description=DESCRIPTION)
    add_arguments(parser)
    return execute(parser.parse_args(argv))
