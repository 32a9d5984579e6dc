"""What is timed: inputs, contenders, the work that the operation needs at least, and the truth."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ndbench.problems import dtype_name

Differentiable = Callable[..., tuple[Tensor, ...]]
Pass = Callable[[], tuple[Tensor, ...]]


@dataclass(frozen=True)
class Contender:
    """One implementation in a comparison.

    Attributes:
        function: the input to the outputs, differentiable.
        precision: of its products, for the floor: how float32 is multiplied, or a type of 16 bits.
        capturable: whether a CUDA graph may hold it.
        settings: PyTorch's float32 matmul precision during the call, "highest" or "high".
        truth: what it computes in float64, if that is not the truth of the workload; called with the input and the
            parameters, all in float64.
        parameters: what the backward pass takes gradients of beside the input.
    """

    function: Differentiable
    precision: str = "ieee"
    capturable: bool = True
    settings: str = "highest"
    truth: Differentiable | None = None
    parameters: tuple[Tensor, ...] = ()

    @property
    def provenance(self) -> dict[str, Any]:
        """How it multiplies, under the names of `ndbench.environment` where it has them.

        Example:
            >>> Contender(lambda x: (x,), "tf32", settings="high").provenance
            {'precision': 'tf32', 'float32_matmul_precision': 'high', 'cudnn_allow_tf32': True}
        """
        return {
            "precision": self.precision,
            "float32_matmul_precision": self.settings,
            # convolutions would otherwise take tf32 whatever the products do
            "cudnn_allow_tf32": self.settings == "high",
        }


@dataclass(frozen=True)
class Workload:
    """One comparison.

    Attributes:
        name: from which it can be run again.
        input: makes the input on a device.
        contenders: by name, the one that others are compared with first; those that a device lacks are left out.
        truth: the outputs in float64, for errors; None where every contender has its own.
        flops: of the cheapest known algorithm, forward.
        bytes: input and outputs, each moved once.
        family: of workloads that differ in size alone.
        order: of the matrices that are multiplied, for what rounding may do.
        rows: M, those that a covariance adds up, for the same.
        symmetric: whether the input is a batch of symmetric matrices, so that only the symmetric part of a gradient is
            determined.
        large: whether it runs only where it is asked for by name.
    """

    name: str
    input: Callable[[str], Tensor]
    contenders: Callable[[str], Mapping[str, Contender]]
    truth: Differentiable | None
    flops: float
    bytes: float
    family: str = ""
    order: int = 1
    rows: int = 1
    symmetric: bool = False
    large: bool = False

    def truth_of(self, contender: Contender) -> Differentiable:
        """What a contender has to compute.

        Raises:
            ValueError: if neither it nor the workload says what is true.
        """
        if truth := contender.truth or self.truth:
            return truth
        raise ValueError(f"workload {self.name}: a contender without a truth of its own, and the workload has none")


def own_products(dtype: torch.dtype) -> str:
    """The precision of products of operands of this type, as floors know it.

    Example:
        >>> own_products(torch.float32), own_products(torch.bfloat16)
        ('ieee', 'bfloat16')
    """
    return "ieee" if dtype == torch.float32 else dtype_name(dtype)


def type_suffix(dtype: torch.dtype) -> str:
    """What the name of a workload says of its type: nothing of float32.

    Example:
        >>> type_suffix(torch.float32), type_suffix(torch.float16)
        ('', '-float16')
    """
    return "" if dtype == torch.float32 else f"-{dtype_name(dtype)}"


def passes(contender: Contender, x: Tensor) -> Iterator[tuple[str, Pass]]:
    """Yield the forward pass, and the forward with the backward pass, each as a function without arguments.

    The first returns the outputs, the second the gradients of the input and of the parameters for upstream gradients
    that are drawn at random, the same for everyone.
    """
    yield "forward", lambda: contender.function(x)
    leaf = x.detach().clone().requires_grad_()
    # drawn on the CPU: a graph that could not be captured may leave a GPU's generator unusable
    rng = torch.Generator().manual_seed(0)
    upstream = [torch.randn(y.shape, generator=rng).to(y) for y in contender.function(x)]

    def both() -> tuple[Tensor, ...]:
        return torch.autograd.grad(contender.function(leaf), (leaf, *contender.parameters), upstream)

    yield "forward+backward", both
