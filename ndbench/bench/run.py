"""Running comparisons, and what is recorded of them."""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from ndbench.bench.ceilings import Ceilings
from ndbench.bench.workloads import Contender, Workload, passes
from ndbench.environment import environment
from ndbench.timing import Samples, captured, interleaved

ENOUGH = 1.0
"""Seconds for the samples of one contender in one direction; a kernel takes thirty in milliseconds."""


@dataclass(frozen=True)
class Row:
    """One implementation in one direction on one workload.

    Attributes:
        workload: its name.
        contender: its name.
        direction: "forward" or "forward+backward".
        seconds: every sample.
        captured: whether they are those of a CUDA graph.
        floor: seconds below which it cannot be; of the forward pass alone.
        error: ||y - y*||_F / ||y*||_F of all outputs, y* in float64; NaN for an implementation that failed.
        failure: what it raised.
    """

    workload: str
    contender: str
    direction: str
    seconds: tuple[float, ...]
    captured: bool
    floor: float
    error: float
    failure: str = ""

    @property
    def typical(self) -> float:
        """The lower quartile."""
        return Samples(self.seconds).typical


def compare(workload: Workload, device: str, ceilings: Ceilings, rounds: int) -> Iterator[Row]:
    """Yield the rows of one workload: eager calls in interleaved rounds, then graphs where a GPU can hold them."""
    x = workload.input(device)
    usable: dict[str, Contender] = {}
    errors: dict[str, float] = {}
    for name, contender in workload.contenders(device).items():
        try:
            with _settings(contender):
                true = workload.truth_of(contender)(x.double(), *(p.double() for p in contender.parameters))
                errors[name] = _error(contender.function(x), true)
            usable[name] = contender
        except Exception as refusal:
            floor = ceilings.floor(workload.flops, workload.bytes, contender.precision)
            yield Row(workload.name, name, "forward", (), False, floor, float("nan"), _first_line(refusal))
    for direction in ("forward", "forward+backward"):
        functions: dict[str, Callable[[], Any]] = {}
        for name, contender in usable.items():
            try:
                functions[name] = _ready(contender, x, direction)
            except Exception as refusal:
                floor = ceilings.floor(workload.flops, workload.bytes, contender.precision)
                failed = _first_line(refusal)
                yield Row(workload.name, name, direction, (), False, floor, errors[name], failed)
        found = interleaved(functions, device, rounds, ENOUGH)
        for name, function in functions.items():
            contender = usable[name]
            floor = ceilings.floor(workload.flops, workload.bytes, contender.precision)
            row = Row(workload.name, name, direction, found[name].seconds, False, floor, errors[name])
            yield row
            if device == "cuda" and contender.capturable:
                yield _captured(row, function, rounds)


def record(rows: Iterable[Row], ceilings: Ceilings) -> dict[str, Any]:
    """Everything measured, as plain data."""
    return {"environment": environment(), "ceilings": asdict(ceilings), "rows": [_plain(row) for row in rows]}


def _captured(row: Row, function: Callable[[], Any], rounds: int) -> Row:
    """The same row by a CUDA graph; where capture fails, the row says why."""
    name = f"{row.contender}, graph"
    try:
        seconds, failure = captured(function, rounds).seconds, ""
    except Exception as refusal:
        torch.cuda.synchronize()
        seconds, failure = (), _first_line(refusal)
    return Row(row.workload, name, row.direction, seconds, True, row.floor, row.error, failure)


def _error(found: tuple[Tensor, ...], true: tuple[Tensor, ...]) -> float:
    distance = sum(float((y.detach().double() - t).square().sum()) for y, t in zip(found, true, strict=True))
    return float((distance / sum(float(t.square().sum()) for t in true)) ** 0.5)


@contextmanager
def _settings(contender: Contender) -> Iterator[None]:
    cudnn = torch.backends.cudnn
    before = torch.get_float32_matmul_precision(), cudnn.allow_tf32
    torch.set_float32_matmul_precision(contender.settings)
    # convolutions would otherwise take tf32 whatever the products do
    cudnn.allow_tf32 = contender.settings == "high"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        cudnn.allow_tf32 = before[1]


def _ready(contender: Contender, x: Tensor, direction: str) -> Callable[[], Any]:
    """One pass with the contender's settings, which has run once."""
    with _settings(contender):
        function = dict(passes(contender, x))[direction]

    def call() -> Any:
        with _settings(contender):
            return function()

    call()
    return call


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0]


def _plain(row: Row) -> dict[str, Any]:
    found = asdict(row)
    return {**found, "error": row.error if math.isfinite(row.error) else str(row.error)}
