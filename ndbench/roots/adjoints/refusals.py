"""Maps without a gradient, or without forward mode, that say so instead of answering zero or wrongly."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.autograd import Function

from ndbench.roots.adjoints.functions import apply, in_compiled_reverse_mode, uncompiled


def without_gradient(A: Tensor, function: Callable[[Tensor], Tensor], refusal: str) -> Tensor:
    """function(A), raising NotImplementedError with `refusal` once a derivative is asked for.

    `function` takes any leading dimensions and may leave PyTorch: it is not compiled.
    """
    D: Tensor = uncompiled(_Opaque, A, function, refusal)
    return D


def without_forward_mode(A: Tensor, refusal: str) -> Tensor:
    """A, raising NotImplementedError with `refusal` once a derivative in forward mode is asked for."""
    return A if in_compiled_reverse_mode() else uncompiled(_ReverseOnly, A, refusal)


def severed(D: Tensor, A: Tensor, refusal: str) -> Tensor:
    """D, computed from A in a way that has no derivative: asking for one raises NotImplementedError with `refusal`."""
    severed: Tensor = uncompiled(_Severed, A, D, refusal)
    return severed


class _Refusing(Function):
    """Its last input is what it says when a derivative is asked for."""

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        ctx.refusal = inputs[-1]

    @staticmethod
    def backward(ctx: Any, G: Tensor) -> None:
        raise NotImplementedError(ctx.refusal)

    @staticmethod
    def jvp(ctx: Any, *_: Tensor | None) -> None:
        raise NotImplementedError(ctx.refusal)


class _Severed(_Refusing):
    @staticmethod
    def forward(A: Tensor, D: Tensor, refusal: str) -> Tensor:
        return D.clone()


class _Opaque(_Refusing):
    @staticmethod
    def forward(A: Tensor, function: Callable[[Tensor], Tensor], refusal: str) -> Tensor:
        return function(A)

    @staticmethod
    def vmap(_: Any, in_dims: tuple[int, None, None], A: Tensor, *others: Any) -> tuple[Tensor, int]:
        return apply(_Opaque, A.movedim(in_dims[0], 0), *others), 0


class _ReverseOnly(Function):
    generate_vmap_rule = True

    @staticmethod
    def forward(A: Tensor, refusal: str) -> Tensor:
        return A.clone()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, str], output: Tensor) -> None:
        ctx.refusal = inputs[1]

    @staticmethod
    def backward(ctx: Any, G: Tensor) -> tuple[Tensor, None]:
        return G, None

    @staticmethod
    def jvp(ctx: Any, *_: Tensor | None) -> None:
        raise NotImplementedError(ctx.refusal)
