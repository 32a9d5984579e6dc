"""The autograd functions of the T-step maps.

A `Recurrence` says how to run a map, what to keep and how to pull a gradient back. Derivatives of the first order in
reverse mode are its hand-written ones; forward mode, and all higher orders, differentiate the operations of its
`defining` loop, which is as exact and needs no eigenvectors.
"""

from typing import Any, Protocol

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import FunctionCtx

Saved = tuple[Tensor, ...]


class Recurrence(Protocol):
    """The map of T steps with its adjoint; immutable."""

    def defining(self, A: Tensor) -> Tensor:
        """The map itself, in operations that autograd differentiates correctly at every A."""

    def run(self, A: Tensor) -> Saved:
        """D, and behind it what `pull_back` needs."""

    def pull_back(self, saved: Saved, G: Tensor) -> Tensor:
        """The symmetric gradient with respect to A from G, the gradient with respect to D, symmetric or not."""


def steps_with_adjoint(A: Tensor, recurrence: Recurrence) -> Tensor:
    """The map of T steps of `recurrence` at A, (..., n, n), with its hand-written adjoint.

    The map is defined on symmetric matrices, so its gradient is symmetric: that of A -> f((A + A^T) / 2).
    """
    D: Tensor = _Steps.apply(A, recurrence)[0]
    return D


def symmetric_part(X: Tensor) -> Tensor:
    """(X + X^T) / 2."""
    return (X + X.mT) / 2


# mypy: torch leaves these methods of Function without types
class _Steps(Function):
    """A -> D = f(A). What the adjoint needs are outputs too: transforms of torch.func may save only those."""

    generate_vmap_rule = True

    @staticmethod
    def forward(A: Tensor, recurrence: Recurrence) -> Saved:
        return recurrence.run(A)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Recurrence], output: Saved) -> None:
        A, ctx.recurrence = inputs
        saved = output[1:]
        ctx.mark_non_differentiable(*saved)
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(A, *saved)
        ctx.save_for_forward(A, *saved)

    @staticmethod
    def backward(ctx: Any, G: Tensor | None, *_: Tensor | None) -> tuple[Tensor | None, None]:
        A, *saved = ctx.saved_tensors
        return None if G is None else _PullBack.apply(A, G, ctx.recurrence, *saved), None

    @staticmethod
    def jvp(ctx: Any, E: Tensor, _: None) -> tuple[Tensor | None, ...]:
        A, *saved = ctx.saved_tensors
        return _tangent(ctx.recurrence, A, E), *(None for _ in saved)


class _PullBack(Function):
    """(A, G) -> the gradient with respect to A; `saved` goes along as constants, for it is determined by A."""

    generate_vmap_rule = True

    @staticmethod
    def forward(A: Tensor, G: Tensor, recurrence: Recurrence, *saved: Tensor) -> Tensor:
        return recurrence.pull_back(saved, G)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        A, G, ctx.recurrence, *saved = inputs
        ctx.constants = len(saved)
        ctx.save_for_backward(A, G)
        ctx.save_for_forward(A, G)

    @staticmethod
    def backward(ctx: Any, H: Tensor) -> tuple[Tensor | None, ...]:
        A, G = ctx.saved_tensors
        _, pull = torch.func.vjp(lambda a, g: _gradient(ctx.recurrence, a, g), A, G)
        return *pull(H), None, *(None for _ in range(ctx.constants))

    @staticmethod
    def jvp(ctx: Any, E: Tensor | None, dG: Tensor | None, *_: None) -> Tensor:
        A, G = ctx.saved_tensors
        tangents = tuple(torch.zeros_like(A) if t is None else t for t in (E, dG))
        _, derivative = torch.func.jvp(lambda a, g: _gradient(ctx.recurrence, a, g), (A, G), tangents)
        return derivative


def _symmetrised(recurrence: Recurrence, A: Tensor) -> Tensor:
    return recurrence.defining(symmetric_part(A))


def _tangent(recurrence: Recurrence, A: Tensor, E: Tensor) -> Tensor:
    _, derivative = torch.func.jvp(lambda a: _symmetrised(recurrence, a), (A,), (E,))
    return derivative


def _gradient(recurrence: Recurrence, A: Tensor, G: Tensor) -> Tensor:
    _, pull = torch.func.vjp(lambda a: _symmetrised(recurrence, a), A)
    (gradient,) = pull(G)
    return gradient
