"""The bytes that the operators of a call read, write and hold, of a run or of shapes alone."""

import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch._prims_common import compute_required_storage_length
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from ndbench.layers.values import values_answered

Function = Callable[[], Any]
Result = TypeVar("Result")

UNMOVED = frozenset(
    f"aten::{name}" for name in ("empty", "empty_like", "empty_strided", "new_empty", "new_empty_strided", "lift_fresh")
) | {"prim::device"}
"""Operators that write nothing; of the last one fake tensors are asked where they are."""

VALUE = torch.ops.aten._local_scalar_dense.default
"""What reads the number in a tensor."""

LIFTED = torch.ops.aten.lift_fresh.default
"""Through which a tensor made of Python's numbers is first seen."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of one call.

    Attributes:
        moved: what its operators read and write.
        held: the most that was alive at once of what it allocated.
    """

    moved: int
    held: int


def footprint(function: Function) -> Footprint:
    """Run a function and add up what PyTorch's operators read, write and hold.

    Every operator reads each tensor among its arguments once and writes each of its results once,

        moved = sum over operators of (sum over arguments + sum over results) numel * itemsize,

    with what an operator changes in place on both sides. Views move nothing. Held is the largest sum of the memory of
    results that are in use at the same time, the function's own among them until it returns; what was there before
    counts nothing, nor does it count less when it goes. Backward passes that the function runs count.

    What an operator does inside (a packed copy, a workspace, a second reading that misses the cache), and what numpy,
    scipy, a Triton kernel or another thread of Python do, is not seen. It is what an implementation asks for, and it
    grows when one more intermediate is written. `ndbench.cost.counting.peak_memory` sees what operators allocate inside
    as well.

    Args:
        function: called once, without arguments.

    Returns:
        bytes; they depend on shapes and types alone, so they are the same on every machine.

    Example:
        >>> x = torch.ones(1000)
        >>> footprint(lambda: (x * x).sum())  # read x twice, write the squares, read them, write one number
        Footprint(moved=16004, held=4004)
    """
    return observed(function)[1]


def observed(function: Callable[[], Result]) -> tuple[Result, Footprint]:
    """What a function returns, and its :func:`footprint`."""
    with _Operators() as seen:
        result = function()
    return result, Footprint(seen.moved, seen.most)


@contextmanager
def shapes_alone() -> Iterator[None]:
    """Let tensors made inside have shapes and no values: what runs takes no memory and computes nothing.

    PyTorch's `FakeTensorMode`. Footprints and flops of what runs inside are those of a run, for operators whose fake
    results are views where the real ones are: `torch.unsafe_split` is none of these. What asks for a value is
    told 1, or true: that all is finite, or that an iteration has converged.

    Example:
        >>> with shapes_alone():
        ...     x = torch.ones(10**6, 10**6)
        ...     print(footprint(lambda: x @ x))
        Footprint(moved=12000000000000, held=4000000000000)
    """
    # tables of integers that the library keeps have values, which fake tensors take along
    with FakeTensorMode(allow_non_fake_inputs=True), _Ones(), values_answered():  # type: ignore[no-untyped-call]
        yield


class _Ones(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Answers that a value is 1."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is VALUE and isinstance(args[0], FakeTensor):
            dtype = args[0].dtype
            return True if dtype == torch.bool else 1.0 if dtype.is_floating_point else 1
        return func(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up the arguments and results of every operator that is not a view, and what results keep alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.moved = self.most = 0
        self.alive: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = tensors((args, kwargs))
        read = sum(tensor.nbytes for tensor in given)
        results = func(*args, **(kwargs or {}))
        found = tensors(results)
        there = {storage_of(tensor) for tensor in given} if func is not LIFTED else set()
        # some operators say that they return views, and some return them in silence
        silent = bool(found) and not func._schema.is_mutable and all(storage_of(tensor) in there for tensor in found)
        if func._schema.name not in UNMOVED and not func.is_view and not silent:
            self.moved += read + sum(tensor.nbytes for tensor in found)
        if not func.is_view or func is LIFTED:
            self.hold(found, there)
        return results

    def hold(self, found: list[Tensor], there: set[int]) -> None:
        """Note new memory, and memory of before that has grown."""
        for tensor in found:
            storage, key = tensor.untyped_storage(), storage_of(tensor)
            if key in self.alive:
                self.alive[key] = max(self.alive[key], extent(tensor))
            elif key not in there:
                self.alive[key] = extent(tensor)
                weakref.finalize(storage, self.alive.pop, key, None)
        self.most = max(self.most, sum(self.alive.values()))


def storage_of(tensor: Tensor) -> int:
    """By which it is told apart while it is alive."""
    key: int = tensor.untyped_storage()._cdata
    return key


def tensors(values: Any) -> list[Tensor]:
    """Those among arguments or results."""
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def extent(tensor: Tensor) -> int:
    """Bytes from the first to the last entry."""
    return compute_required_storage_length(tensor.shape, tensor.stride(), 0) * tensor.itemsize
