"""`ndbench cost`: what deconvolution costs in a layer, or in a network, from shapes alone."""

import argparse
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from ndbench.arguments import positive
from ndbench.cost.ceilings import Ceilings, measured
from ndbench.cost.footprints import Sides, whole_if_seen
from ndbench.cost.geometry import Convolution, Layer, Whitening, linear
from ndbench.cost.networks import LINEAR, NETWORKS, Named, convolutions
from ndbench.cost.roots import FORWARD as METHODS
from ndbench.cost.sheet import Sheet
from ndbench.cost.table import layer_sheet, rows_of
from ndbench.cost.totals import Totals, network_sheet, totals_sheet
from ndbench.cost.tracing import LeftOut, maker
from ndbench.cost.tracing import convolutions as traced
from ndbench.covariance.patches import GROUPINGS
from ndbench.progress import tracked
from ndbench.terminal import Console

DESCRIPTION = """Print what every algorithm of deconvolution costs in flops, bytes and memory, beside the convolution's
own cost and the paper's law. Nothing is computed: counts are functions of shapes, and equal those of PyTorch's flop
counter and of the operators of a run, except for factorizations and scipy, which are estimated and marked so.
Exits with 2 for wrong usage."""

MEASURE = "measure"
IMAGES = (1, 3, 224, 224)
EXAMPLES = {1: "3", 2: "3x5", 4: "x".join(map(str, IMAGES))}
"""Of sizes, by how many numbers there are."""
BLOCK, BLOCK_OF_LINEAR, SAMPLING = 64, 512, 3
"""Of the layers, by default."""
OF_A_CONVOLUTION = ("kernel", "stride", "padding", "dilation", "groups")
OF_A_LAYER = ("out", *OF_A_CONVOLUTION, "first")
"""Options that a network does not have."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `cost`."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--layer", type=sizes(4), metavar="NxCxHxW", help="one convolution of an input of this shape")
    what.add_argument("--linear", type=sizes(2), metavar="NxC", help="one linear layer of so many rows and features")
    what.add_argument(
        "--network",
        nargs="+",
        metavar="NAME",
        help=f"every convolution of {', '.join(NETWORKS)}, or of the torch.nn.Module that FILE.py:FUNCTION returns",
    )
    layer = parser.add_argument_group("of a layer")
    layer.add_argument("--out", type=positive, metavar="O", help="channels, or features, of its output")
    layer.add_argument("--kernel", type=sizes(1, 2), metavar="K", help="3, or 3x5")
    layer.add_argument("--stride", type=sizes(1, 2), metavar="S", help="of the convolution")
    layer.add_argument("--padding", type=sizes(1, 2, least=0), metavar="P", help="at both ends of each axis")
    layer.add_argument("--dilation", type=sizes(1, 2), metavar="D", help="between pixels of a patch")
    layer.add_argument("--groups", type=positive, help="of the convolution")
    layer.add_argument("--first", action="store_true", help="its input needs no gradient, as that of a first layer")
    network = parser.add_argument_group("of a network")
    network.add_argument(
        "--input", nargs="+", type=sizes(4), metavar="NxCxHxW", help="shape of the images, 1x3x224x224 by default"
    )
    how = parser.add_argument_group(
        "of the deconvolution; with several blocks or samplings a network has a row of totals each"
    )
    how.add_argument(
        "--block",
        type=positive,
        nargs="+",
        metavar="B",
        help=f"channels whitened together, {BLOCK} by default, of a linear layer {BLOCK_OF_LINEAR}",
    )
    how.add_argument(
        "--sampling",
        type=positive,
        nargs="+",
        metavar="S",
        help=f"sampling stride, {SAMPLING} by default; a linear layer counts every row",
    )
    how.add_argument("--steps", type=positive, default=5, metavar="T", help="of the inverse square root")
    how.add_argument("--method", choices=tuple(METHODS), default="newton_schulz", help="of the inverse square root")
    how.add_argument("--grouping", choices=GROUPINGS, default="channel", help="of columns into blocks")
    parser.add_argument(
        "--footprints",
        action="store_true",
        help="also the bytes that are moved and held, counted one operator after the other on shapes alone: minutes",
    )
    parser.add_argument("--markdown", action="store_true", help="print Markdown")
    parser.add_argument("--json", metavar="PATH", help="write all numbers to this file")
    parser.add_argument(
        "--ceilings",
        nargs="?",
        const=MEASURE,
        metavar="BENCH.json",
        help="also the milliseconds that forward and backward cannot be below, from the rates of a large"
        " product and a large copy: measured now on this CPU, or those that `ndbench bench --json` wrote",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Print the table; 2 for arguments that describe no layer, or files that cannot be read or written."""
    try:
        sheet, found = of_networks(arguments) if arguments.network else of_layer(arguments)
        if arguments.json:
            save(Path(arguments.json), found)
    except (ValueError, TypeError, OSError) as error:
        print(f"ndbench cost: {error}", file=sys.stderr)  # noqa: T201
        return 2
    if arguments.markdown:
        print(sheet.markdown())  # noqa: T201
    else:
        Console(width=None if sys.stdout.isatty() else 180).print(sheet.rich(), highlight=False)
    return 0


def save(path: Path, found: dict[str, Any]) -> None:
    """Write all numbers."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
    except OSError as error:
        raise ValueError(f"cannot write {path}: {error.strerror or error}") from error


def of_layer(arguments: argparse.Namespace) -> tuple[Sheet, dict[str, Any]]:
    """The table of one layer, and the same as plain data."""
    (whitening, *others) = whitenings(arguments)
    if others:
        raise ValueError("one layer has one table; give one --block and one --sampling, or a --network")
    layer = linear_of(arguments, whitening) if arguments.linear else Layer(convolution_of(arguments), whitening)
    rates = ceilings_of(arguments.ceilings) if arguments.ceilings else None
    rows = rows_of(layer, "DeconvLinear" if arguments.linear else "Deconv2d")
    taken = footprints_of([row.footprint for row in rows]) if arguments.footprints else None
    records = [row.record(rates, sides) for row, sides in zip(rows, taken or [None] * len(rows), strict=True)]
    sheet = layer_sheet(layer, rows, taken, rates)
    return sheet, {"title": sheet.title, "rows": records}


def linear_of(arguments: argparse.Namespace, whitening: Whitening) -> Layer:
    """The linear layer that the arguments describe."""
    if arguments.out is None:
        raise ValueError("--linear needs --out: the features of the output")
    refuse(arguments, (*OF_A_CONVOLUTION, "input", "footprints"), "--linear")
    return linear(arguments.linear, arguments.out, whitening, input_gradient=not arguments.first)


def convolution_of(arguments: argparse.Namespace) -> Convolution:
    """The convolution that the arguments describe."""
    if arguments.out is None or arguments.kernel is None:
        raise ValueError("--layer needs --out and --kernel: the channels of the output and the size of the kernel")
    refuse(arguments, ("input",), "--layer")
    return Convolution.of(
        arguments.layer,
        arguments.out,
        pair(arguments.kernel),
        stride=pair(arguments.stride or (1,)),
        padding=pair(arguments.padding or (0,)),
        dilation=pair(arguments.dilation or (1,)),
        groups=arguments.groups or 1,
        input_gradient=not arguments.first,
    )


def footprints_of(takes: Sequence[Callable[[], Sides | None] | None]) -> list[Sides | None]:
    """What each of them takes, with a progress bar on a terminal."""
    return [take() if take else None for take in tracked(takes, "footprints")]


def of_networks(arguments: argparse.Namespace) -> tuple[Sheet, dict[str, Any]]:
    """The table of every layer, or of totals where there are several networks, inputs or settings."""
    refuse(arguments, OF_A_LAYER, "--network")
    rates = ceilings_of(arguments.ceilings) if arguments.ceilings else None
    combinations = [
        ([name, "x".join(map(str, shape)), str(whitening.block), str(whitening.sampling)], layers)
        for name, shape in product(arguments.network, arguments.input or [IMAGES])
        for whitening, layers in deconvolved(name, shape, arguments)
    ]
    data = [
        {"network": name, "input": shape, "block": int(block), "sampling": int(sampling)}
        | {"total": Totals.of(layers, rates).record()}
        | {"layers": [{"name": layer.name, **Totals.of([layer], rates).record()} for layer in layers]}
        for (name, shape, block, sampling), layers in combinations
    ]
    if len(combinations) > 1:
        if arguments.footprints:
            raise ValueError("--footprints are those of one network, input and setting at a time")
        return totals_sheet(combinations, rates), {"networks": data}
    (((name, shape, block, sampling), layers),) = combinations
    title = f"{name} on {shape}, blocks up to {block}, sampling {sampling}, T = {arguments.steps}"
    taken = footprints_of([partial(whole_if_seen, layer) for layer in layers]) if arguments.footprints else None
    for record, sides in zip(data[0]["layers"], taken or (), strict=False):
        record["footprint"] = [asdict(side) if side else None for side in sides] if sides else None
    return network_sheet(title, layers, taken, rates), {"networks": data}


def refuse(arguments: argparse.Namespace, names: Sequence[str], there: str) -> None:
    """Raise for options that mean nothing beside another one."""
    if given := [f"--{name}" for name in names if getattr(arguments, name)]:
        raise ValueError(f"{', '.join(given)} has no meaning with {there}; leave it out")


def deconvolved(
    name: str, shape: tuple[int, int, int, int], arguments: argparse.Namespace
) -> Iterator[tuple[Whitening, list[Layer]]]:
    """The layers of a network for each setting."""
    found = network(name, shape)
    for whitening in whitenings(arguments):
        yield whitening, [Layer(conv, whitening, layer) for layer, conv in found]


def network(name: str, shape: tuple[int, int, int, int]) -> list[Named]:
    """The convolutions of a network that is known by name, or made by a function of a file."""
    if name in NETWORKS:
        say(name, LeftOut(linear=LINEAR[name]))
        return convolutions(name, shape)
    if ".py:" not in name:
        raise ValueError(f"--network must be one of {', '.join(NETWORKS)}, or FILE.py:FUNCTION; got {name!r}")
    found, left_out = traced(maker(name), shape)
    say(name, left_out)
    return found


def say(name: str, left_out: LeftOut) -> None:
    """What a network computes besides, on standard error."""
    for line in left_out.lines():
        print(f"ndbench cost: {name}: {line}", file=sys.stderr)  # noqa: T201


def whitenings(arguments: argparse.Namespace) -> list[Whitening]:
    """All settings asked for."""
    chosen = arguments.method, arguments.steps, arguments.grouping
    block, sampling = (BLOCK_OF_LINEAR, 1) if arguments.linear else (BLOCK, SAMPLING)
    settings = product(arguments.block or [block], arguments.sampling or [sampling])
    return [Whitening(*setting, *chosen) for setting in settings]


def ceilings_of(text: str) -> Ceilings:
    """Rates measured now, or read from what `ndbench bench --json` wrote."""
    if text == MEASURE:
        return measured("cpu")
    try:
        return Ceilings(**json.loads(Path(text).read_text())["ceilings"])
    except OSError as error:
        raise ValueError(f"cannot read {text}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{text} holds no ceilings as `ndbench bench --json` writes them") from error


def pair(values: Sequence[int]) -> Sequence[int]:
    """One number for both axes, or two."""
    return values if len(values) == 2 else (*values, *values)


def sizes(*counts: int, least: int = 1) -> Any:
    """A reader of numbers, none below the least, with "x" between them."""

    def read(text: str) -> tuple[int, ...]:
        parts = text.split("x")
        if len(parts) not in counts or not all(part.isdecimal() for part in parts):
            shown = " or ".join("one number" if count == 1 else f'{count} numbers with "x" between' for count in counts)
            examples = " or ".join(EXAMPLES[count] for count in counts)
            raise argparse.ArgumentTypeError(f"must be {shown}, such as {examples}; got {text!r}")
        found = tuple(map(int, parts))
        if min(found) < least:
            raise argparse.ArgumentTypeError(f"every number must be at least {least}; got {text!r}")
        return found

    return read
