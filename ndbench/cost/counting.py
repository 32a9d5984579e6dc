"""What a call really did: the flops of its products, the most memory it held, what Triton kernels executed."""

import inspect
import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from ndbench.cost.replaced import replaced
from ndbench.kernels.runtime import interpreted

Function = Callable[[], Any]
Shape = Sequence[int]


def linear_flops(rows: Shape, weight: Shape, *_: Any, **__: Any) -> int:
    """The 2 m k n flops of oneDNN's product of rows (m, k) and a transposed weight (n, k)."""
    return 2 * math.prod(rows) * weight[0]


def convolution_backward_flops(
    upstream: Shape,
    x: Shape,
    weight: Shape,
    _bias: Any,
    _stride: Any,
    _padding: Any,
    _dilation: Any,
    transposed: bool,
    _output_padding: Any,
    _groups: int,
    mask: Sequence[bool],
    **_: Any,
) -> int:
    """As many flops as the convolution for each gradient asked for, of the input and of the weight.

    PyTorch's own formula is this one for a single group; the weight of several it charges for products of channels
    that never meet.
    """
    there = x if transposed else upstream
    return 2 * there[0] * math.prod(there[2:]) * math.prod(weight) * (mask[0] + mask[1])


FORMULAS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.convolution_backward: convolution_backward_flops,
}
"""Of operators that PyTorch's counter does not know, or miscounts; arguments are shapes in place of tensors."""

if hasattr(torch.ops.mkldnn, "_linear_pointwise"):
    # what ndbench.products.product calls; the counter would see nothing
    FORMULAS[torch.ops.mkldnn._linear_pointwise] = linear_flops


NUMPY = "numpy.cov"


@dataclass(frozen=True)
class Count:
    """Flops of the products of a call, a multiplication and an addition being two.

    Attributes:
        flops: in all.
        by_operator: of each operator of PyTorch, by its name, as "aten.mm", and of `NUMPY`.
    """

    flops: int
    by_operator: Mapping[str, int]


def count(function: Function) -> Count:
    """Run a function and count the flops of its products, with PyTorch's flop counter.

    Matrix products and convolutions count, whether autograd records them or not, and those of backward passes that
    the function runs, and the product of `numpy.cov`. Everything else counts 0: elementwise work, sums, factorizations
    (eigh, Cholesky, inverse), and whatever else numpy, scipy or a Triton kernel computes.

    Args:
        function: called once, without arguments.

    Returns:
        the count; it depends on shapes alone, so it is the same on every machine.

    Example:
        >>> import torch
        >>> A = torch.ones(3, 4)
        >>> count(lambda: A @ A.T)
        Count(flops=72, by_operator={'aten.mm': 72})
    """
    counter = FlopCounterMode(display=False, custom_mapping=FORMULAS)
    counter.mod_tracker = _NoModules()  # type: ignore[assignment]
    by_numpy: list[int] = []
    with counter, _covariances_of_numpy(by_numpy):
        function()
    counted = counter.get_flop_counts().get("Global", {})
    found = {str(operator): flops for operator, flops in counted.items()}
    found |= {NUMPY: sum(by_numpy)} if by_numpy else {}
    return Count(sum(found.values()), found)


@contextmanager
def _covariances_of_numpy(found: list[int]) -> Iterator[None]:
    """Append the flops of every product that `numpy.cov` multiplies."""
    module = sys.modules[inspect.unwrap(np.cov).__globals__["__name__"]]
    multiply = module.dot

    def counted(left: Any, right: Any, *others: Any, **keywords: Any) -> Any:
        found.append(2 * left.size * right.shape[-1])
        return multiply(left, right, *others, **keywords)

    with replaced(module, "dot", counted):
        yield


class _NoModules(nullcontext[None]):
    """In place of PyTorch's tracker of modules, which breaks autograd.grad for the input of a module."""

    parents = ("Global",)


def peak_memory(function: Function, device: str = "cpu") -> int:
    """Run a function and measure the most memory that it held at once.

    On the CPU it is the largest sum of what the call has allocated through PyTorch and not yet freed, from PyTorch's
    record of its allocations; what BLAS packs inside, and what numpy or scipy allocate, is in no record. On a GPU it is
    the rise of `torch.cuda.max_memory_allocated`. Neither counts what existed before. Python numbers in arithmetic are
    tensors of a few bytes to PyTorch, and count.

    Args:
        function: called once, without arguments; what it returns is held to the end.
        device: "cpu" or "cuda", where it computes.

    Returns:
        bytes.

    Example:
        >>> import torch
        >>> x = torch.ones(1000)
        >>> peak_memory(lambda: (x + x).sum())
        4004
    """
    return _peak_on_gpu(function) if device == "cuda" else _peak_on_cpu(function)


def _peak_on_cpu(function: Function) -> int:
    record: Any = profile(activities=[ProfilerActivity.CPU], profile_memory=True)
    with _silenced():
        record.start()
    try:
        # held until the record ends
        _result = function()
    finally:
        with _silenced():
            record.stop()
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    changes: list[int] = [event.nbytes() for event in sorted(events, key=lambda event: event.start_ns())]
    return max(accumulate(changes, initial=0))


@contextmanager
def _silenced() -> Iterator[None]:
    """Without the standard error: the profiler writes there that it starts and stops, whatever it is told."""
    kept = os.dup(2)
    with open(os.devnull, "w") as nothing:
        os.dup2(nothing.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _peak_on_gpu(function: Function) -> int:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    _result = function()
    torch.cuda.synchronize()
    most: int = torch.cuda.max_memory_allocated()
    return most - before


@dataclass(frozen=True)
class Launch:
    """One launch of a Triton kernel.

    Attributes:
        kernel: name of the kernel's function.
        grid: programs along each axis.
        flops: of every `tl.dot` that its programs executed, padded tiles included.
        loaded: bytes of every `tl.load` that its programs executed, of what its mask lets through.
        stored: bytes of every `tl.store`, likewise. An atomic operation loads and stores.
    """

    kernel: str
    grid: tuple[int, int, int]
    flops: int
    loaded: int
    stored: int


def count_dots(function: Function) -> tuple[Launch, ...]:
    """Run a function and count, launch by launch, what Triton kernels execute in the interpreter: products and traffic.

    Each `tl.dot` of tiles (..., m, k) and (..., k, n) counts 2 m k n flops for every pair of tiles: what the hardware
    would have to multiply, padding included. Elementwise work counts 0, as in :func:`count`.

    Each `tl.load` and `tl.store` counts the bytes of every number that its mask lets through, as often as it is asked
    for: what programs ask of the memory system, of which caches answer a part.

    Args:
        function: called once, without arguments, with tensors on the CPU.

    Returns:
        the launches in their order.

    Raises:
        RuntimeError: kernels are not interpreted in this process, or this Triton's interpreter has no such places to
            count at.
    """
    if not interpreted():
        raise RuntimeError(
            "count_dots: kernels must be interpreted to be counted; set TRITON_INTERPRET=1 before Python starts"
        )
    launches: list[Launch] = []
    with _observed(launches):
        function()
    return tuple(launches)


@contextmanager
def _observed(launches: list[Launch]) -> Iterator[None]:
    """Let the interpreter append what it launches."""
    builder, executor = _interpreter()
    launch = executor.__call__
    executed: Counter[str] = Counter()

    def counted_launch(self: Any, *arguments: Any, **keywords: Any) -> None:
        executed.clear()
        launch(self, *arguments, **keywords)
        counts = (executed[name] for name in ("flops", "loaded", "stored"))
        launches.append(Launch(self.fn.__name__, tuple(builder.grid_dim), *counts))

    with ExitStack() as until_then:
        until_then.enter_context(replaced(executor, "__call__", counted_launch))
        for name, effect in EFFECTS.items():
            counted = _counted(getattr(builder, name), effect, executed)
            until_then.enter_context(replaced(builder, name, counted))
        yield


Effect = Callable[..., Mapping[str, int]]
"""What an operation of the interpreter adds to the counts, from its arguments."""


def _counted(operation: Callable[..., Any], effect: Effect, executed: "Counter[str]") -> Callable[..., Any]:
    def counted(*arguments: Any, **keywords: Any) -> Any:
        executed.update(effect(*arguments))
        return operation(*arguments, **keywords)

    return counted


def _multiplied(left: Any, right: Any, *_: Any) -> Mapping[str, int]:
    return {"flops": 2 * left.data.size * right.data.shape[-1]}


def _loaded(pointers: Any, mask: Any, *_: Any) -> Mapping[str, int]:
    return {"loaded": _let_through(pointers, mask)}


def _stored(pointers: Any, _value: Any, mask: Any, *_: Any) -> Mapping[str, int]:
    return {"stored": _let_through(pointers, mask)}


def _updated(_operation: Any, pointers: Any, _value: Any, mask: Any, *_: Any) -> Mapping[str, int]:
    return dict.fromkeys(("loaded", "stored"), _let_through(pointers, mask))


def _exchanged(pointers: Any, *_: Any) -> Mapping[str, int]:
    return dict.fromkeys(("loaded", "stored"), pointers.data.size * _bytes_at(pointers))


def _let_through(pointers: Any, mask: Any) -> int:
    """Bytes of the numbers pointed at where the mask is set."""
    return int(np.count_nonzero(np.broadcast_to(mask.data, pointers.data.shape))) * _bytes_at(pointers)


def _bytes_at(pointers: Any) -> int:
    """Those of one number."""
    # a boolean takes a byte
    bits: int = max(8, pointers.get_element_ty().primitive_bitwidth)
    return bits // 8


EFFECTS: Mapping[str, Effect] = {
    "create_dot": _multiplied,
    "create_masked_load": _loaded,
    "create_masked_store": _stored,
    "create_atomic_rmw": _updated,
    "create_atomic_cas": _exchanged,
}
"""Of the interpreter's operations; its loads and stores without a mask call those with one."""


def _interpreter() -> tuple[Any, Any]:
    """Triton's builder of interpreted operations, and the class that runs a grid of programs."""
    from triton.runtime import interpreter  # noqa: PLC0415 - Triton exists on Linux only

    builder, executor = (getattr(interpreter, name, None) for name in ("interpreter_builder", "GridExecutor"))
    if executor is None or not all(hasattr(builder, name) for name in EFFECTS):
        raise RuntimeError(
            "count_dots: triton.runtime.interpreter must have GridExecutor, and an interpreter_builder with "
            f"{', '.join(EFFECTS)}, as Triton 3.6 and 3.7 do; install one of these"
        )
    return builder, executor
