"""The autograd functions of the T-step maps.

A `Recurrence` says how to run a map, what to keep and how to pull a gradient back. The first derivative in reverse
mode is that hand-written one; forward mode and all higher orders differentiate the operations of its `smooth` relative.
"""

import sys
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function, forward_ad

from ndbench.derivatives import TensorMap, directional, smooth_call, transposed, zeros_for_none

Saved = tuple[Tensor, ...]


class Recurrence(Protocol):
    """A map of symmetric matrices with its adjoint; immutable."""

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """The type of the products for matrices of this type."""

    def run(self, A: Tensor) -> Saved:
        """D, and behind it what `pull_back` needs."""

    def pull_back(self, A: Tensor, saved: Saved, G: Tensor) -> Tensor:
        """The symmetric gradient with respect to A from G, the gradient with respect to D, symmetric or not."""

    def smooth(self) -> "Recurrence":
        """The same map in operations that reverse mode differentiates rightly at every A, to any order."""


@dataclass(frozen=True)
class Recomputed:
    """A recurrence that keeps nothing and runs again before it pulls back.

    Attributes:
        recurrence: the one to run.
    """

    recurrence: Recurrence

    def computed_in(self, dtype: torch.dtype) -> torch.dtype:
        """That of the recurrence."""
        return self.recurrence.computed_in(dtype)

    def run(self, A: Tensor) -> Saved:
        """D alone."""
        return self.recurrence.run(A)[:1]

    def pull_back(self, A: Tensor, saved: Saved, G: Tensor) -> Tensor:
        """The gradient from a second run."""
        return self.recurrence.pull_back(A, self.recurrence.run(A)[1:], G)

    def smooth(self) -> Recurrence:
        """That of the recurrence."""
        return self.recurrence.smooth()


def with_adjoint(A: Tensor, recurrence: Recurrence) -> Tensor:
    """The map of `recurrence` at A, (..., n, n), with its hand-written adjoint.

    The map is defined on symmetric matrices, so its gradient is symmetric: that of A -> f((A + A^T) / 2). A compiled
    graph has the first derivative in reverse mode only; in forward mode the graph is interrupted. Where transforms of
    torch.func are compiled one in the other, the graph holds the operations of the `smooth` relative.
    """
    W = A.to(recurrence.computed_in(A.dtype))
    if not in_compiled_reverse_mode():
        D: Tensor = uncompiled(_Map, W, recurrence)[0]
    elif in_compiled_transforms():
        D = _map(recurrence)(W)[0]
    else:
        D = apply(_FirstOrder, W, recurrence)[0]
    return D.to(A.dtype)


def in_compiled_reverse_mode() -> bool:
    """Whether Dynamo traces, outside forward mode: there it differentiates operations, whatever a function's jvp."""
    return torch.compiler.is_compiling() and forward_ad._current_level < 0


def in_compiled_transforms() -> bool:
    """Whether Dynamo traces several transforms of torch.func, one in the other.

    There the graph of an autograd function has no gradient but zero, without an error, and cannot be mapped.
    """
    return torch.compiler.is_compiling() and transforms() > 1


def transforms() -> int:
    """How many transforms of torch.func are under way."""
    return len(torch._C._functorch.get_interpreter_stack() or ())


# Dynamo cannot trace it, but is inside the transforms itself while it traces
transforms._dynamo_marked_constant = True  # type: ignore[attr-defined]


def uncompiled(function: type[Function], *arguments: Any) -> Any:
    """function.apply(*arguments), outside of any graph that is being compiled."""
    if "torch._dynamo" not in sys.modules:
        # nothing is compiled, and loading the compiler takes two seconds
        return apply(function, *arguments)
    return torch.compiler.disable(apply)(function, *arguments)  # type: ignore[no-untyped-call]


def apply(function: Any, *arguments: Any) -> Any:
    """function.apply(*arguments), which has no types."""
    return function.apply(*arguments)


def symmetric_part(X: Tensor) -> Tensor:
    """(X + X^T) / 2."""
    return (X + X.mT) / 2


class _FirstOrder(Function):
    """A -> D, and what the adjoint needs, since transforms may save inputs and outputs only.

    Dynamo traces it: it has no jvp, and no other function inside its backward.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(A: Tensor, recurrence: Recurrence) -> Saved:
        return recurrence.run(A)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Recurrence], output: Saved) -> None:
        A, ctx.recurrence = inputs
        saved = output[1:]
        ctx.mark_non_differentiable(*saved)
        # without zeros for what has no gradient
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(A, *saved)
        ctx.save_for_forward(A, *saved)

    @staticmethod
    def backward(ctx: Any, G: Tensor | None, *_: None) -> tuple[Tensor | None, None]:
        A, *saved = ctx.saved_tensors
        return None if G is None else ctx.recurrence.pull_back(A, tuple(saved), G), None


class _Map(_FirstOrder):
    """The same with all derivatives."""

    @staticmethod
    def backward(ctx: Any, G: Tensor | None, *_: None) -> tuple[Tensor | None, None]:
        A, *saved = ctx.saved_tensors
        return None if G is None else apply(_PullBack, A, G, ctx.recurrence, *saved), None

    @staticmethod
    def jvp(ctx: Any, E: Tensor, _: None) -> tuple[Tensor | None, ...]:
        A, *saved = ctx.saved_tensors
        return *smooth_call(directional(_map(ctx.recurrence), 1), A, E), *(None for _ in saved)


class _PullBack(Function):
    """(A, G) -> the gradient with respect to A. `saved` goes along as constants: A determines it."""

    generate_vmap_rule = True

    @staticmethod
    def forward(A: Tensor, G: Tensor, recurrence: Recurrence, *saved: Tensor) -> Tensor:
        return recurrence.pull_back(A, saved, G)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        A, G, ctx.recurrence, *saved = inputs
        ctx.constants = len(saved)
        ctx.save_for_backward(A, G)
        ctx.save_for_forward(A, G)

    @staticmethod
    def backward(ctx: Any, H: Tensor) -> tuple[Tensor | None, ...]:
        gradients = smooth_call(transposed(_gradient(ctx.recurrence), 2), *ctx.saved_tensors, H)
        return *gradients, None, *(None for _ in range(ctx.constants))

    @staticmethod
    def jvp(ctx: Any, E: Tensor | None, dG: Tensor | None, *_: None) -> Tensor:
        at = ctx.saved_tensors
        return smooth_call(directional(_gradient(ctx.recurrence), 2), *at, *zeros_for_none(at, (E, dG)))[0]


def _map(recurrence: Recurrence) -> TensorMap:
    """A -> D, of the symmetric part of A."""
    smooth = recurrence.smooth()
    return lambda A: smooth.run(symmetric_part(A))[:1]


def _gradient(recurrence: Recurrence) -> TensorMap:
    """(A, G) -> the gradient, of the symmetric part of A."""
    smooth = Recomputed(recurrence.smooth())
    return lambda A, G: (smooth.pull_back(symmetric_part(A), (), G),)
