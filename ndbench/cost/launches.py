"""Calls of Triton kernels on shapes alone: they allocate what they would, and launch nothing."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from ndbench.cost.footprint import Footprint, observed
from ndbench.cost.replaced import replaced
from ndbench.kernels.runtime import shapes_serving

Launched = tuple[str, tuple[int, ...]]
"""A kernel's name, and its grid."""


def beside_launches(function: Callable[[], Any]) -> Footprint:
    """What a call of kernels moves beside its launches, by PyTorch's operators, and holds, on tensors of device "meta".

    What it returns counts, and what was there before does not: its input, and tables that are made once for each shape.

    Example:
        >>> import torch
        >>> from ndbench.covariance import Patches
        >>> from ndbench.kernels.covariance import im2col
        >>> x = torch.empty((8, 64, 32, 32), device="meta")
        >>> mean, cov = 4 * 576, 4 * 576**2
        >>> beside_launches(lambda: im2col(x, Patches.of(3, padding=1), "ieee")).held >= mean + cov
        True
    """
    with kept_from_running():
        # makes the tables
        function()
        return observed(function)[1]


@contextmanager
def kept_from_running() -> Iterator[list[Launched]]:
    """Inside the block kernels do not run; the list tells which would have."""
    from triton.runtime.jit import KernelInterface  # noqa: PLC0415 - Triton exists on Linux only

    found: list[Launched] = []

    def note(kernel: Any, grid: tuple[int, ...], *_: Any, **__: Any) -> None:
        found.append((kernel.fn.__name__, grid))

    with shapes_serving(), replaced(KernelInterface, "__getitem__", lambda kernel, grid: partial(note, kernel, grid)):
        yield found
