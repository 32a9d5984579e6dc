"""What is timed: inputs, contenders, the work that the operation needs at least, and the truth."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

Differentiable = Callable[[Tensor], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Contender:
    """One implementation in a comparison.

    Attributes:
        function: the input to the outputs, differentiable.
        precision: of its float32 products, for the floor.
        capturable: whether a CUDA graph may hold it.
        settings: PyTorch's float32 matmul precision during the call, "highest" or "high".
        truth: what it computes in float64, if that is not the truth of the workload.
    """

    function: Differentiable
    precision: str = "ieee"
    capturable: bool = True
    settings: str = "highest"
    truth: Differentiable | None = None


@dataclass(frozen=True)
class Workload:
    """One comparison.

    Attributes:
        name: from which it can be run again.
        input: makes the input on a device.
        contenders: by name; those that a device lacks are left out.
        truth: the outputs in float64, for errors.
        flops: of the cheapest known algorithm.
        bytes: input and outputs, each moved once.
    """

    name: str
    input: Callable[[str], Tensor]
    contenders: Callable[[str], Mapping[str, Contender]]
    truth: Differentiable
    flops: float
    bytes: float


def passes(contender: Contender, x: Tensor) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yield the forward pass, and the forward with the backward pass, each as a function without arguments."""
    yield "forward", lambda: contender.function(x)
    leaf = x.detach().clone().requires_grad_()
    # drawn on the CPU: a graph that could not be captured may leave a GPU's generator unusable
    rng = torch.Generator().manual_seed(0)
    upstream = [torch.randn(y.shape, generator=rng).to(y) for y in contender.function(x)]

    def both() -> Tensor:
        found = torch.autograd.grad(contender.function(leaf), leaf, upstream)
        return found[0]

    yield "forward+backward", both
