"""The bytes that the operators of a call read and write."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

UNWRITTEN = ("aten::empty", "aten::empty_like", "aten::empty_strided", "aten::new_empty", "aten::new_empty_strided")
"""Operators that allocate and write nothing."""


def traffic(function: Callable[[], Any]) -> int:
    """Run a function and add up what PyTorch's operators read and write.

    Every operator reads each tensor among its arguments once and writes each of its results once,

        sum over operators of (sum over arguments + sum over results) numel * itemsize,

    with what an operator changes in place on both sides. Views move nothing. Backward passes that the function runs
    count. What an operator moves inside (a packed copy, a workspace, a second reading that misses the cache), and
    what numpy, scipy or a Triton kernel move, is not seen: it is what an implementation asks for, and it grows when
    one more intermediate is written.

    Args:
        function: called once, without arguments.

    Returns:
        bytes; they depend on shapes and types alone, so they are the same on every machine.

    Example:
        >>> import torch
        >>> x = torch.ones(1000)
        >>> traffic(lambda: (x * x).sum())  # read x twice, write the squares, read them, write one number
        16004
    """
    with _Traffic() as counter:
        function()
    moved: int = counter.bytes
    return moved


class _Traffic(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up arguments and results of every operator that is not a view."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        results = func(*args, **kwargs)
        if not func.is_view and func._schema.name not in UNWRITTEN:
            self.bytes += sum(leaf.nbytes for leaf in tree_leaves((args, kwargs, results)) if isinstance(leaf, Tensor))
        return results
