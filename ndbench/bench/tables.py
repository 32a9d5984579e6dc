"""What is printed: times with quartiles, errors, memory, and what the comparisons say."""

from collections.abc import Iterable, Sequence

from ndbench.bench.run import Row
from ndbench.bench.stored import Change
from ndbench.cost.ceilings import Ceilings
from ndbench.terminal import Table, escape
from ndbench.timing import SHORT, Comparison, Samples

MIB = 2**20
COLUMNS = (
    "us: quartile",
    "median",
    "quartile",
    "of floor",
    "time / first",
    "interval",
    "verdict",
    "error",
    "allowed",
    "peak MiB",
)


def table(name: str, rows: Sequence[Row]) -> Table:
    """Microseconds as quartiles, the fraction of the floor forward, the time over that of the first, error, memory."""
    found = Table(title=escape(name), title_justify="left")
    found.add_column("implementation", no_wrap=True)
    for column in ("direction", *COLUMNS):
        found.add_column(column, justify="right", no_wrap=True)
    for row in rows:
        found.add_row(escape(row.contender), row.direction, *_figures(row), style="red" if row.failure else None)
    return found


def notes(rows: Sequence[Row]) -> Iterable[str]:
    """Yield what failed or is undecided and why, how large the noise was, and which times are those of launches."""
    for row in rows:
        if row.failure:
            yield f"not timed: {row.contender}, {row.direction}: {row.failure}"
        if row.samples and not row.samples.measurable:
            yield f"{row.contender}, {row.direction}: {_below(row.samples)}"
        if row.comparison and row.comparison.reason:
            yield f"undecided: {row.contender}, {row.direction}: {row.comparison.reason}"
    noise = {(row.direction, row.captured): row.noise for row in rows if row.samples}
    for (direction, captured), relative in noise.items():
        what = "the first graph, captured twice," if captured else "the first contender timed twice"
        yield f"noise: {direction}, {what} differs from itself by {relative:.1%}"
    if any(_launch_bound(row) for row in rows):
        yield f"* below {1e6 * SHORT:.0f} us a call is timed by its launch; the row of its graph is the time of the GPU"


def changes(found: Iterable[Change]) -> Table:
    """The lower quartiles of the stored and of the new run in us, and their ratio; two jobs have no verdict."""
    listed = Table(title="against the stored run", title_justify="left")
    for column in ("workload", "implementation", "direction"):
        listed.add_column(column, no_wrap=True)
    for column in ("us: stored", "now", "now / stored", "interval", "verdict"):
        listed.add_column(column, justify="right", no_wrap=True)
    for change in found:
        row = change.row
        quartiles = (_microseconds(samples, 0) for samples in (change.base, Samples(row.seconds)))
        verdict = "another job" if change.comparison else ""
        said = (*quartiles, *_ratio(change.comparison), verdict)
        listed.add_row(escape(row.workload), escape(row.contender), row.direction, *said)
    return listed


def reasons(found: Iterable[Change]) -> Iterable[str]:
    """Yield why a row is not compared with the stored one."""
    for change in found:
        name = f"{change.row.workload}, {change.row.contender}, {change.row.direction}"
        if change.refusal:
            yield f"{name}: {change.refusal}"
        for run, samples in (("stored", change.base), ("new", Samples(change.row.seconds))):
            if not samples.measurable:
                yield f"{name}, {run} run: {_below(samples)}"


def rates(found: Ceilings) -> str:
    """One line with the measured ceilings."""
    products = ", ".join(f"{precision} {rate / 1e12:.2f}" for precision, rate in found.flops.items())
    return f"measured ceilings: {found.bytes / 1e9:.0f} GB/s; Tflop/s of products: {products}"


def _figures(row: Row) -> tuple[str, ...]:
    accuracy = (f"{row.error:.1e}", f"{row.allowed:.1e}") if row.allowed == row.allowed else ("", "")
    memory = "" if row.memory is None else f"{row.memory / MIB:.2f}"
    if not row.samples:
        return ("wrong" if row.failure.startswith("wrong") else "failed", *[""] * 6, *accuracy, memory)
    times = [_microseconds(row.samples, quartile) for quartile in range(3)]
    times[1] += "*" if _launch_bound(row) else ""
    fraction = f"{row.floor / row.typical:.0%}" if row.direction == "forward" and row.typical > 0 else ""
    return (*times, fraction, *_said(row.comparison), *accuracy, memory)


def _microseconds(samples: Samples, quartile: int) -> str:
    """A quartile in microseconds; - if a quarter of the samples is not above 0."""
    return f"{1e6 * samples.quartiles[quartile]:.1f}" if samples.typical > 0 else "-"


def _said(comparison: Comparison | None) -> tuple[str, str, str]:
    """The ratio, the interval that holds it, and the verdict."""
    return *_ratio(comparison), str(comparison.verdict) if comparison else ""


def _ratio(comparison: Comparison | None) -> tuple[str, str]:
    """The ratio, and the interval that holds it."""
    if not comparison:
        return "", ""
    low, high = comparison.interval
    return f"{comparison.ratio:.3g}", f"{low:.3f} to {high:.3f}"


def _below(samples: Samples) -> str:
    """Why samples of which some are not above 0 are not compared."""
    if samples.typical > 0:
        below = sum(second <= 0 for second in samples.seconds)
        return f"not compared, since {below} of {len(samples.seconds)} samples are not above 0"
    return "below what can be measured: a quarter of the samples is not above 0"


def _launch_bound(row: Row) -> bool:
    if not row.samples or row.captured or row.samples.provenance.get("timed_on") != "cuda":
        return False
    return row.samples.quartiles[1] < SHORT
