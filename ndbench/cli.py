"""The command line: `ndbench verify`, `ndbench bench`, `ndbench cost`, `ndbench list`."""

import argparse
import sys
from collections.abc import Sequence

from ndbench.bench import command as bench
from ndbench.catalog import CATALOG
from ndbench.cost import command as cost
from ndbench.verify import command
from ndbench.verify.runner import TIERS
from ndbench.verify.suite import CHECKS


def main(argv: Sequence[str] | None = None) -> int:
    """The entry point of the console script; returns the exit status."""
    parser = argparse.ArgumentParser("ndbench", description="Ground truth for network deconvolution.")
    commands = parser.add_subparsers(dest="command", required=True)
    verify = commands.add_parser("verify", help="judge implementations", description=command.DESCRIPTION)
    command.add_arguments(verify)
    timing = commands.add_parser("bench", help="time implementations side by side", description=bench.DESCRIPTION)
    bench.add_arguments(timing)
    costs = commands.add_parser("cost", help="what a layer or a network costs", description=cost.DESCRIPTION)
    cost.add_arguments(costs)
    listing = commands.add_parser("list", help="names of implementations, checks and problems")
    listing.add_argument("--tier", choices=TIERS, default="quick", help="whose problems")
    arguments = parser.parse_args(argv)
    if arguments.command == "list":
        return _list(arguments.tier)
    if arguments.command == "cost":
        return cost.execute(arguments)
    return bench.execute(arguments) if arguments.command == "bench" else command.execute(arguments)


def _list(tier: str) -> int:
    """Print every implementation with its target, every check with its first line, every problem."""
    lines = ["implementations"]
    lines += [
        f"  {i.operation:20}{i.name:34}{_target(i.operation, str(i.target)):32}{', '.join(i.devices)}" for i in CATALOG
    ]
    lines += ["checks"]
    lines += [f"  {check.operation:20}{check.name:28}{_summary(check.judge.__doc__)}" for check in CHECKS]
    lines += [f"problems of the {tier} tier"]
    lines += [f"  {name}" for name in dict.fromkeys(p.name for check in CHECKS for p in check.problems[tier])]
    print("\n".join(lines))  # noqa: T201
    return 0


def _target(operation: str, target: str) -> str:
    return target if operation == "inverse-sqrt" else ""


def _summary(doc: str | None) -> str:
    return (doc or "").strip().partition("\n")[0]


if __name__ == "__main__":
    sys.exit(main())
