"""`ndbench verify` and `python -m ndbench.verify`: one parser."""

import argparse
import math
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch

from ndbench.arguments import positive
from ndbench.kernels.runtime import interpreted
from ndbench.verify.parallel import run_in_processes
from ndbench.verify.report.console import Progress, show
from ndbench.verify.report.record import save
from ndbench.verify.runner import DEVICES, TIERS, Selection, UnknownName, cases, elsewhere, run
from ndbench.writing import obstacle_to

DESCRIPTION = """Judge the implementations of network deconvolution's operations against independent truth.
Exits with 0 if every check passed or was not run for a stated reason, 1 if any failed, nothing could be judged or time
was over before all had begun, 2 for wrong usage."""


KINDS = ("operation", "check", "implementation", "problem")
MOST_JOBS = 8
FEW = 500
"""Cases that are not worth starting several processes for."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `verify`."""
    for kind in KINDS:
        parser.add_argument(
            f"--{kind}",
            action="append",
            default=[],
            metavar="NAME",
            help=f"only this {kind}; may be given several times ('ndbench list' shows the names)",
        )
    parser.add_argument("--tier", choices=TIERS, default="quick", help="quick: minutes; full: more seeds and orders")
    parser.add_argument(
        "--device",
        choices=DEVICES,
        default="cpu",
        help="where the implementations run; the interpreter is Triton's, for kernels without a GPU",
    )
    parser.add_argument(
        "--threads",
        type=positive,
        default=1,
        help="threads of PyTorch on the CPU; most problems are too small for two",
    )
    parser.add_argument(
        "--jobs",
        type=positive,
        help=f"processes that share the work; by default 1, on a GPU one for every two cores, at most {MOST_JOBS}",
    )
    parser.add_argument(
        "--seconds", type=positive, help='begin no case later than this; those left are "not run", and counted'
    )
    add_times(parser)
    parser.add_argument("--json", metavar="PATH", help="write every verdict and the environment to this file")


def add_times(parser: argparse.ArgumentParser) -> None:
    """The options that add times to what is judged."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument("--times", action="store_true", help="measure how times grow with every size, and report it")
    either.add_argument(
        "--gate-times", action="store_true", help="the same, and fail if they outgrow those of their law"
    )


def times_of(arguments: argparse.Namespace) -> str:
    """What becomes of times, as `Selection` has it."""
    return "gate" if arguments.gate_times else "report" if arguments.times else "off"


def execute(arguments: argparse.Namespace) -> int:
    """Run what the arguments select, show the report and return the exit status."""
    if arguments.device == "interpreter" and not interpreted():
        return _in_the_interpreter(arguments)
    selection = Selection(
        operations=tuple(arguments.operation),
        checks=tuple(arguments.check),
        implementations=tuple(arguments.implementation),
        problems=tuple(arguments.problem),
        tier=arguments.tier,
        device=arguments.device,
        times=times_of(arguments),
    )
    try:
        chosen = cases(selection)
    except UnknownName as error:
        print(f"ndbench verify: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if arguments.json and (obstacle := obstacle_to(Path(arguments.json))):
        print(f"ndbench verify: cannot write {arguments.json}: {obstacle}", file=sys.stderr)  # noqa: T201
        return 2
    seconds = arguments.seconds or math.inf
    with Progress(len(chosen)) as progress, threads_set(arguments.threads):
        jobs = arguments.jobs or default_jobs(arguments.device, len(chosen))
        if jobs == 1:
            report = run(chosen, progress.advance, seconds)
        else:
            report = run_in_processes(selection, jobs, arguments.threads, progress.advance, seconds)
    show(report, elsewhere(selection))
    if arguments.json:
        save(report, arguments.json)
    return 0 if report.passed else 1


def default_jobs(device: str, count: int) -> int:
    """How many processes judge so many cases: small kernels leave a GPU idle while the truth is computed on a CPU."""
    if device != "cuda" or count <= FEW:
        return 1
    return max(1, min(MOST_JOBS, (os.cpu_count() or 1) // 2))


def _in_the_interpreter(arguments: argparse.Namespace) -> int:
    """The same in a process of its own: Triton decides once, as it loads, whether to compile or to interpret."""
    options = [text for kind in KINDS for name in getattr(arguments, kind) for text in (f"--{kind}", name)]
    options += ["--device", arguments.device, "--tier", arguments.tier, "--threads", str(arguments.threads)]
    options += ["--jobs", str(arguments.jobs)] if arguments.jobs else []
    options += ["--seconds", str(arguments.seconds)] if arguments.seconds else []
    options += {"off": [], "report": ["--times"], "gate": ["--gate-times"]}[times_of(arguments)]
    options += ["--json", arguments.json] if arguments.json else []
    program = [sys.executable, "-m", "ndbench.verify", *options]
    return subprocess.run(program, env={**os.environ, "TRITON_INTERPRET": "1"}, check=False).returncode


@contextmanager
def threads_set(count: int) -> Iterator[None]:
    """So many threads inside the block, as many as before outside."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of `python -m ndbench.verify`."""
    parser = argparse.ArgumentParser("python -m ndbench.verify", description=DESCRIPTION)
    add_arguments(parser)
    return execute(parser.parse_args(argv))
