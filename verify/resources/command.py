"""`python -m ndbench.verify.resources`."""

import argparse
import sys
from collections.abc import Sequence

from ndbench.kernels.runtime import interpreted
from ndbench.kernels.variant import Variant
from ndbench.verify.resources import console
from ndbench.verify.resources.collection import all_variants
from ndbench.verify.resources.record import as_json, markdown, save
from ndbench.verify.resources.survey import PROCESSES, survey
from ndbench.verify.resources.targets import TARGETS, target_named

DESCRIPTION = """Compile every kernel in every configuration for five architectures, without a GPU, and judge what came
out. Exits with 0 if every gate holds, 1 if any does not, 2 for wrong usage."""


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser("python -m ndbench.verify.resources", description=DESCRIPTION)
    made.add_argument(
        "--variant", action="append", default=[], metavar="TEXT", help="only variants whose name has this"
    )
    made.add_argument("--target", action="append", default=[], choices=[target.name for target in TARGETS])
    made.add_argument("--processes", type=int, default=PROCESSES, help="compilers at a time")
    made.add_argument("--json", metavar="PATH", help="write every figure and failure to this file")
    made.add_argument("--markdown", metavar="PATH", help="write the table to this file, such as docs/resources.md")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    """Run what the arguments select, show the table and return the exit status."""
    arguments = parser().parse_args(argv)
    if interpreted():
        return _refuse("Triton interprets kernels in this process; unset TRITON_INTERPRET")
    chosen = [v for v in all_variants() if _selected(v, arguments.variant)]
    targets = [target_named(name) for name in arguments.target] or TARGETS
    rows = survey(chosen, targets, arguments.processes, console.progress)
    if not rows:
        return _refuse("no variant has that name and that target")
    console.show(rows)
    if arguments.json:
        save(as_json(rows), arguments.json)
    if arguments.markdown:
        save(markdown(rows), arguments.markdown)
    return 0 if all(row.passed for row in rows) else 1


def _selected(variant: Variant, texts: Sequence[str]) -> bool:
    return not texts or any(text in variant.name for text in texts)


def _refuse(message: str) -> int:
    print(f"ndbench.verify.resources: {message}", file=sys.stderr)  # noqa: T201
    return 2
