"""`python -m ndbench.verify.scaling`: the scaling checks alone, and their page."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ndbench.arguments import positive
from ndbench.kernels.runtime import interpreted
from ndbench.verify.command import add_times, threads_set, times_of
from ndbench.verify.report.console import Progress, show
from ndbench.verify.report.record import save
from ndbench.verify.runner import TIERS, Case, Selection, UnknownName, cases, run
from ndbench.verify.scaling.document import markdown
from ndbench.verify.scaling.suite import CHECKS, CHECKS_OF_KERNELS
from ndbench.writing import obstacle_to

DESCRIPTION = """Judge how flops and memory grow with kernel size, block, channels, pixels and order, and report how
times do. Exits with 0 if every law is kept, 1 if any is not or nothing could be judged, 2 for wrong usage."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks, show the report and return the exit status."""
    arguments = parser().parse_args(argv)
    wanted = tuple(arguments.implementation)
    selection = Selection(
        implementations=wanted, tier=arguments.tier, device=arguments.device, times=times_of(arguments)
    )
    try:
        chosen = cases(selection, CHECKS)
        if arguments.device == "cpu" and interpreted():
            chosen += of_kernels(selection)
    except UnknownName as error:
        return _refuse(f"{error}{_kernels_too(arguments.device)}")
    for path in filter(None, (arguments.json, arguments.markdown)):
        if obstacle := obstacle_to(Path(path)):
            return _refuse(f"cannot write {path}: {obstacle}")
    with Progress(len(chosen)) as progress, threads_set(arguments.threads):
        report = run(chosen, progress.advance)
    show(report)
    if arguments.json:
        save(report, arguments.json)
    if arguments.markdown:
        Path(arguments.markdown).write_text(markdown(report))
    return 0 if report.passed else 1


def of_kernels(selection: Selection) -> list[Case]:
    """Launches and memory of kernels that can be interpreted; other precisions have the same."""
    found = cases(replace(selection, device="interpreter", implementations=(), times="off"), CHECKS_OF_KERNELS)
    asked = selection.implementations
    kernels = [case for case in found if case.implementation.precision == "ieee"]
    return [case for case in kernels if not asked or case.implementation.name in asked]


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser("python -m ndbench.verify.scaling", description=DESCRIPTION)
    made.add_argument(
        "--implementation", action="append", default=[], metavar="NAME", help="only this; may be given several times"
    )
    made.add_argument("--tier", choices=TIERS, default="full", help="quick: fewer kernel sizes; full: all from 1 to 9")
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="where the implementations run")
    made.add_argument("--threads", type=positive, default=1, help="threads of PyTorch on the CPU")
    add_times(made)
    made.add_argument("--json", metavar="PATH", help="write every verdict and the environment to this file")
    made.add_argument("--markdown", metavar="PATH", help="write the page to this file, such as docs/scaling.md")
    return made


def _kernels_too(device: str) -> str:
    """The names of kernels that are judged where they are interpreted, for whoever gave another one."""
    if device != "cpu" or not interpreted():
        return ""
    names = dict.fromkeys(case.implementation.name for case in of_kernels(Selection()))
    return f"; and of Triton kernels {', '.join(names)}"


def _refuse(message: str) -> int:
    print(f"ndbench.verify.scaling: {message}", file=sys.stderr)  # noqa: T201
    return 2
