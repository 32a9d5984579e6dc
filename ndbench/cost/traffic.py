"""The bytes that the operators of a call read and write."""

from collections.abc import Callable
from typing import Any

from ndbench.cost.footprint import footprint


def traffic(function: Callable[[], Any]) -> int:
    """Run a function and add up what PyTorch's operators read and write: `ndbench.cost.footprint.Footprint.moved`.

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
    return footprint(function).moved
