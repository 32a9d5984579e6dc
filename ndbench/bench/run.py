"""Running comparisons, and what is recorded of them."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ndbench.bench.accuracy import Standard
from ndbench.bench.workloads import Contender, Pass, Workload, passes
from ndbench.cost.ceilings import Ceilings
from ndbench.cost.counting import peak_memory
from ndbench.environment import environment
from ndbench.timing import Comparison, Samples, captured, interleaved, noise_floor, replayed
from ndbench.timing import compare as compare_samples
from ndbench.timing.comparison import PRECISION

ENOUGH = 1.0
"""Seconds for the samples of one contender in one direction; a kernel takes thirty in milliseconds."""

DIRECTIONS = ("forward", "forward+backward")
AGAIN = "the first again"
"""Name under which the first contender takes part a second time: how it differs from itself is the noise."""

HOW = ("timed_on", "clock", "flushed", "calls", "warm_up", *PRECISION)
"""Of the provenance what differs from row to row."""


@dataclass(frozen=True)
class Row:
    """One implementation in one direction on one workload.

    Attributes:
        workload: its name.
        contender: its name.
        direction: "forward" or "forward+backward".
        samples: the times; None for an implementation that failed or is wrong.
        floor: seconds below which it cannot be; of the forward pass alone.
        error: ||y - y*||_F / ||y*||_F of outputs or gradients, y* in float64; NaN for an implementation that failed.
        allowed: the error that its precision allows.
        memory: bytes that one call holds at most beyond what exists before; None where it was not measured.
        failure: what it raised, or that it is wrong.
        noise: relative difference of the first contender from itself in the same rounds; infinite if it is unknown.
        comparison: with the first contender that is right, in the same rounds; None for that one, and where either took
            less than can be measured.
    """

    workload: str
    contender: str
    direction: str
    samples: Samples | None
    floor: float
    error: float = math.nan
    allowed: float = math.nan
    memory: int | None = None
    failure: str = ""
    noise: float = math.inf
    comparison: Comparison | None = None

    @property
    def seconds(self) -> tuple[float, ...]:
        """Every sample."""
        return self.samples.seconds if self.samples else ()

    @property
    def captured(self) -> bool:
        """Whether the samples are those of a CUDA graph."""
        return self.samples is not None and self.samples.captured

    @property
    def typical(self) -> float:
        """The lower quartile; NaN without samples."""
        return self.samples.typical if self.samples else math.nan

    def as_record(self) -> dict[str, Any]:
        """Plain data for JSON."""
        found = {name: getattr(self, name) for name in ("workload", "contender", "direction", "floor", "failure")}
        figures = {name: _finite(getattr(self, name)) for name in ("error", "allowed", "noise")}
        samples = self.samples or Samples(())
        how = {name: samples.provenance[name] for name in HOW if name in samples.provenance}
        times = {"seconds": list(samples.seconds), "captured": samples.captured, "rounds": samples.rounds, "how": how}
        comparison = self.comparison.as_record() if self.comparison else None
        return {**found, **figures, **times, "memory": self.memory, "comparison": comparison}


def compare(workload: Workload, device: str, ceilings: Ceilings, rounds: int) -> Iterator[Row]:
    """Yield the rows of one workload: eager calls in interleaved rounds, then graphs where a GPU can hold them.

    A contender whose error is above what its precision allows is not timed: its row says that it is wrong.
    """
    x = workload.input(device)
    standard = Standard(workload, x)
    usable = dict(workload.contenders(device))
    for direction in DIRECTIONS:
        right: dict[str, Row] = {}
        functions: dict[str, Pass] = {}
        for name, contender in usable.copy().items():
            floor = ceilings.floor(workload.flops, workload.bytes, contender.precision)
            row = Row(workload.name, name, direction, None, floor)
            try:
                function = _ready(contender, x, direction)
                row = _judged(row, standard, contender, function)
                row = row if row.failure else replace(row, memory=peak_memory(function, device))
            except Exception as refusal:
                row = replace(row, failure=_first_line(refusal))
            if row.failure:
                yield row
                if direction == "forward":
                    # whose outputs fail is asked no gradients
                    del usable[name]
            else:
                right[name], functions[name] = row, function
        if right:
            eager = {**functions, AGAIN: next(iter(functions.values()))}
            yield from _timed(right, eager, usable, partial(interleaved, device=device, rounds=rounds, enough=ENOUGH))
        if device == "cuda":
            capturable = {name: row for name, row in right.items() if usable[name].capturable}
            yield from _by_graphs(capturable, functions, usable, rounds)


def record(rows: Iterable[Row], ceilings: Ceilings) -> dict[str, Any]:
    """Everything measured, as plain data."""
    return {"environment": environment(), "ceilings": asdict(ceilings), "rows": [row.as_record() for row in rows]}


def _judged(row: Row, standard: Standard, contender: Contender, function: Pass) -> Row:
    """The row with its error, and that it is wrong if it is."""
    error = standard.error(function(), contender, row.direction)
    allowed = standard.allowed(contender, row.direction)
    # NaN is wrong
    wrong = "" if error <= allowed else f"wrong: error {error:.1e}, its precision allows {allowed:.1e}"
    return replace(row, error=error, allowed=allowed, failure=wrong)


def _timed(
    rows: Mapping[str, Row],
    functions: Mapping[str, Pass],
    contenders: Mapping[str, Contender],
    times: Callable[[Mapping[str, Pass]], dict[str, Samples]],
) -> Iterator[Row]:
    """The rows with times, each compared with the first, which is compared with itself; they take turns."""
    found = times(functions)
    first = next(iter(rows))
    noise = _noise(found[first], found[AGAIN])
    for name, row in rows.items():
        comparison = None
        if name != first and found[first].measurable and found[name].measurable:
            comparison = compare_samples(found[first], found[name], floor=noise)
        # after the comparison: within a table precisions differ on purpose
        provenance = {**found[name].provenance, **contenders[name].provenance}
        yield replace(row, samples=replace(found[name], provenance=provenance), noise=noise, comparison=comparison)


def _noise(first: Samples, again: Samples) -> float:
    return noise_floor(first, again) if first.measurable and again.measurable else math.inf


def _by_graphs(
    rows: Mapping[str, Row], functions: Mapping[str, Pass], contenders: Mapping[str, Contender], rounds: int
) -> Iterator[Row]:
    """The same rows by CUDA graphs, which take turns once all are captured; where capture fails, the row says why."""
    right: dict[str, Row] = {}
    graphs: dict[str, Pass] = {}
    for name, row in rows.items():
        graph = replace(row, contender=f"{row.contender}, graph", memory=None)
        try:
            # the first is captured twice: graphs differ by the memory that they hold
            graphs |= {key: captured(functions[name]) for key in ((name,) if graphs else (name, AGAIN))}
            right[name] = graph
        except Exception as refusal:
            torch.cuda.synchronize()
            yield replace(graph, failure=_first_line(refusal))
    if right:
        yield from _timed(right, graphs, contenders, partial(replayed, rounds=rounds, enough=ENOUGH))


@contextmanager
def settings(contender: Contender) -> Iterator[None]:
    """PyTorch's precision settings as the contender wants them; as they were afterwards.

    Example:
        >>> with settings(Contender(lambda x: (x,), settings="high")):
        ...     torch.get_float32_matmul_precision()
        'high'
    """
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    torch.set_float32_matmul_precision(contender.settings)
    cudnn.allow_tf32 = contender.provenance["cudnn_allow_tf32"]
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]


def _ready(contender: Contender, x: Tensor, direction: str) -> Pass:
    """One pass with the contender's settings."""
    with settings(contender):
        function = dict(passes(contender, x))[direction]

    def call() -> tuple[Tensor, ...]:
        with settings(contender):
            return function()

    return call


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _finite(figure: float) -> float | str:
    return figure if math.isfinite(figure) else str(figure)
