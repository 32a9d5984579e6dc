"""Pictures of a run: error against time of each workload, and time against size beside the model's line."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ndbench.bench.run import DIRECTIONS, Row
from ndbench.bench.workloads import Workload
from ndbench.timing import Samples

COLUMNS = 3
PANEL = (5.4, 4.2)
"""Inches, width and height."""
MARKERS = dict(zip(DIRECTIONS, ("o", "^"), strict=True))


class NoMatplotlib(ImportError):
    """The extra `plot` is not installed."""


def require_format(path: Path) -> None:
    """Refuse before minutes of work what could not be drawn after them.

    Raises:
        NoMatplotlib: without the extra `plot`, with what to install.
        ValueError: if matplotlib does not know the format, with those it knows.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ImportError as error:
        raise NoMatplotlib("pictures need matplotlib; install ndbench[plot]") from error
    known = Figure().canvas.get_supported_filetypes()
    if path.suffix[1:].lower() not in known:
        raise ValueError(f"the name must end in one of {', '.join(known)}; got {path.suffix or 'no ending'}")


def draw(rows: Sequence[Row], workloads: Sequence[Workload], path: Path) -> None:
    """Draw every panel into one picture, whose format is that of the path's ending.

    Args:
        rows: of the run.
        workloads: that it had, for their sizes.
        path: of the picture.

    Raises:
        ValueError: if no row has a time above 0, or matplotlib does not know the format.
        NoMatplotlib: without the extra `plot`.
    """
    require_format(path)
    from matplotlib.figure import Figure  # noqa: PLC0415

    # what is below 0 has no place on a logarithmic axis
    timed = [row for row in rows if row.typical > 0]
    if not timed:
        raise ValueError("draw: at least one row must have a time above 0; none has")
    names = {row.workload for row in timed}
    panels = [w for w in workloads if w.name in names]
    families = _families(panels)
    count = len(panels) + len(families)
    columns = min(COLUMNS, count)
    lines = math.ceil(count / columns)
    figure = Figure(figsize=(PANEL[0] * columns, PANEL[1] * lines), layout="constrained")
    axes = iter(figure.subplots(lines, columns, squeeze=False).ravel())
    for workload in panels:
        _error_against_time(next(axes), workload.name, [row for row in timed if row.workload == workload.name])
    for family, members in families.items():
        _time_against_size(next(axes), family, members, timed)
    for empty in axes:
        empty.set_axis_off()
    figure.suptitle(
        "circles: forward; triangles: forward+backward; bars: quartiles; dotted: floor, forward", fontsize=10
    )
    figure.savefig(path)


def _families(workloads: Sequence[Workload]) -> dict[str, list[Workload]]:
    """Those with two sizes or more, by increasing work."""
    found: dict[str, list[Workload]] = {}
    for workload in sorted(workloads, key=lambda w: w.flops):
        found.setdefault(workload.family, []).append(workload)
    return {family: members for family, members in found.items() if len({w.flops for w in members}) > 1}


def _error_against_time(axes: Any, title: str, rows: Sequence[Row]) -> None:
    """Each contender in its colour, a marker for each direction, quartiles as a bar, and the floor as a line."""
    colours = _colours(rows)
    # an error of 0 has no place on a logarithmic axis
    least = min((row.error for row in rows if row.error > 0), default=1e-8) / 2
    for row in rows:
        lower, median, upper = _microseconds(row)
        axes.errorbar(
            median,
            max(row.error, least),
            xerr=[[median - lower], [upper - median]],
            marker=MARKERS[row.direction],
            color=colours[row.contender],
            markersize=6,
            linewidth=1,
            label=row.contender if row.direction == DIRECTIONS[0] else None,
        )
    for floor in sorted({row.floor for row in rows}):
        axes.axvline(1e6 * floor, color="0.6", linestyle=":", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="time, us: quartiles", ylabel="relative error", title=title)
    _decorate(axes)


def _time_against_size(axes: Any, family: str, members: Sequence[Workload], timed: Sequence[Row]) -> None:
    """Forward passes over the work of the cheapest algorithm, and the floor that the model gives."""
    forward = [row for row in timed if row.direction == DIRECTIONS[0]]
    by_workload = {w.name: [row for row in forward if row.workload == w.name] for w in members}
    rows = [row for found in by_workload.values() for row in found]
    for contender, colour in _colours(rows).items():
        points = [(w.flops, row) for w in members for row in by_workload[w.name] if row.contender == contender]
        flops, times = [x for x, _ in points], [_microseconds(row)[1] for _, row in points]
        axes.plot(flops, times, marker="o", markersize=4, linewidth=1, color=colour, label=contender)
    floors = [(w.flops, min(row.floor for row in by_workload[w.name])) for w in members if by_workload[w.name]]
    axes.plot([x for x, _ in floors], [1e6 * y for _, y in floors], color="0.3", linestyle="--", label="model: floor")
    axes.set(xscale="log", yscale="log", xlabel="size: flops of the cheapest algorithm", ylabel="time, us: median")
    axes.set_title(f"{family}: forward")
    _decorate(axes)
    labels = [f"{w.name.removeprefix(f'{family}-')}: {w.flops:.1e}" for w in members]
    axes.set_xticks([w.flops for w in members], labels, rotation=20, ha="right", fontsize=7)


def _decorate(axes: Any) -> None:
    """A light grid, and a few plain numbers at each axis even where it spans less than a decade."""
    from matplotlib.ticker import FormatStrFormatter, LogLocator, NullFormatter  # noqa: PLC0415

    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(LogLocator(subs=(1, 2, 5), numticks=7))
        axis.set_major_formatter(FormatStrFormatter("%g"))
        axis.set_minor_formatter(NullFormatter())
    axes.title.set_fontsize(9)
    axes.grid(which="major", color="0.92", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    axes.legend(fontsize=7, loc="best", framealpha=0.8)


def _colours(rows: Sequence[Row]) -> Mapping[str, str]:
    return {name: f"C{i}" for i, name in enumerate(dict.fromkeys(row.contender for row in rows))}


def _microseconds(row: Row) -> tuple[float, float, float]:
    lower, median, upper = Samples(row.seconds).quartiles
    return 1e6 * lower, 1e6 * median, 1e6 * upper
