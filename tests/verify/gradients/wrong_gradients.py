"""Ways in which a function with right values has wrong gradients."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ndbench.catalog import Implementation
from ndbench.verify.gradients.suite import FAMILY


@dataclass(frozen=True)
class Sabotage:
    name: str
    rung: str
    implementation: Implementation

    @property
    def check(self) -> str:
        return FAMILY + self.rung

    def __str__(self) -> str:
        return f"{self.name} ({self.rung})"


def sabotage(name: str, rung: str, base: Implementation, function: Callable[..., Any], **promises: Any) -> Sabotage:
    """An implementation that differs from another in its gradients, and the rung that must catch it."""
    return Sabotage(name, rung, replace(base, name=f"sabotaged: {name}", function=function, **promises))


class Tampered(Function):
    """function(x), its gradient changed by tamper(g, x, upstream gradients)."""

    @staticmethod
    def forward(ctx, x, function, tamper):
        with torch.enable_grad():
            ctx.leaf = x.detach().requires_grad_()
            found = function(ctx.leaf)
        ctx.found, ctx.tamper = (found,) if isinstance(found, Tensor) else found, tamper
        answer = tuple(y.detach().clone() for y in ctx.found)
        return answer[0] if isinstance(found, Tensor) else answer

    @staticmethod
    def backward(ctx, *upstream):
        (g,) = torch.autograd.grad(ctx.found, ctx.leaf, upstream, retain_graph=True)
        return ctx.tamper(g, ctx.leaf.detach(), upstream), None, None


class Borrowed(Function):
    """The values of one function with the gradient of another."""

    @staticmethod
    def forward(ctx, A, values, other):
        ctx.save_for_backward(A)
        ctx.other = other
        return values(A)

    @staticmethod
    def backward(ctx, G):
        (A,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = A.detach().requires_grad_()
            (g,) = torch.autograd.grad(ctx.other(leaf), leaf, G)
        return g, None, None


class Constant(Function):
    """x, and a backward pass that holds x constant when it is differentiated itself."""

    @staticmethod
    def forward(ctx, x, function):
        ctx.save_for_backward(x)
        ctx.function = function
        return function(x)

    @staticmethod
    def backward(ctx, *upstream):
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            leaf = x.detach().requires_grad_()
            found = ctx.function(leaf)
            found = (found,) if isinstance(found, Tensor) else found
            return torch.autograd.grad(found, leaf, upstream, create_graph=True)[0], None


class Unchanged(Function):
    """x itself, with right gradients in reverse mode."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g


class HalvedTangent(Unchanged):
    """Half its tangent in forward mode."""

    @staticmethod
    def jvp(ctx, t):
        return t / 2


class Refused(Unchanged):
    """A tangent that cannot be had."""

    @staticmethod
    def jvp(ctx, t):
        raise RuntimeError("size mismatch")


class Scaled(Function):
    """x itself, with the gradient changed by tamper(g)."""

    @staticmethod
    def forward(ctx, x, tamper):
        ctx.tamper = tamper
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return ctx.tamper(g), None


class StorageRead(Function):
    """A right gradient for contiguous G; of any other the storage is read in the order in which it lies."""

    @staticmethod
    def forward(ctx, x, function):
        with torch.enable_grad():
            ctx.leaf = x.detach().requires_grad_()
            found = function(ctx.leaf)
        ctx.found = (found,) if isinstance(found, Tensor) else found
        answer = tuple(y.detach().clone() for y in ctx.found)
        return answer[0] if isinstance(found, Tensor) else answer

    @staticmethod
    def backward(ctx, *upstream):
        return torch.autograd.grad(ctx.found, ctx.leaf, [as_stored(G) for G in upstream])[0], None


def as_stored(G: Tensor) -> Tensor:
    """As many numbers as G has, in the order in which they lie."""
    room = G.untyped_storage().nbytes() >= G.numel() * G.element_size()
    return torch.as_strided(G, G.shape, torch.empty(G.shape).stride()) if room else G


class SharedBuffer:
    """Keeps the last question in a buffer, and differentiates at what the buffer holds by then."""

    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        self.function, self.buffers = function, {}

    def __call__(self, x: Tensor) -> Any:
        buffer = self.buffers.setdefault((x.shape, x.dtype), torch.empty_like(x))
        buffer.data.copy_(x.detach())
        return Tampered.apply(x, self.function, partial(self.pull_back, buffer))

    def pull_back(self, buffer: Tensor, g: Tensor, x: Tensor, upstream: tuple[Tensor, ...]) -> Tensor:
        leaf = buffer.detach().clone().requires_grad_()
        with torch.enable_grad():
            found = self.function(leaf)
            return torch.autograd.grad(found, leaf, upstream)[0]


def lost(x: Tensor, where: bool) -> Tensor:
    """x itself, with no gradient there."""
    return Scaled.apply(x, lambda g: g * (not where))


def later_images_lost(x: Tensor) -> Tensor:
    """x itself, with no gradient from the third image on."""
    return Scaled.apply(x, lambda g: torch.cat([g[:3], 0 * g[3:]]))


def fed(change: Callable[[Tensor], Tensor], function: Callable[..., Any]) -> Callable[..., Any]:
    """function(change(x), ...)."""
    return lambda x, *rest, **how: function(change(x), *rest, **how)


def changed(tamper: Callable[..., Tensor], function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its gradient changed by tamper(g, x, upstream gradients)."""
    return lambda x, *rest, **how: Tampered.apply(x, lambda x: function(x, *rest, **how), tamper)


def one_percent_too_large(g: Tensor, *_: Any) -> Tensor:
    return g * 1.01


def twice_of_a_constant(function: Callable[..., Any]) -> Callable[..., Any]:
    """Right gradients, that hold x constant when they are differentiated themselves."""
    return lambda x, *rest, **how: Constant.apply(x, lambda x: function(x, *rest, **how))


def of_a_shared_buffer(function: Callable[..., Any]) -> Callable[..., Any]:
    """One buffer for all calls with arguments of the same shape, and the same keywords."""
    buffers: dict[Any, SharedBuffer] = {}

    def wrong(x: Tensor, *rest: Any, **how: Any) -> Any:
        key = (tuple(getattr(r, "shape", r) for r in rest), tuple(sorted(how.items(), key=str)))
        return buffers.setdefault(key, SharedBuffer(lambda x: function(x, *rest, **how)))(x)

    return wrong
