"""Right values with wrong gradients, each with the rung that must catch it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from ndbench import deconvolve, inverse_sqrt, patch_covariance, roots
from ndbench.catalog import CATALOG, DERIVATIVES, Implementation
from ndbench.roots.precision import identity_like
from ndbench.targets import Steps
from ndbench.verify.gradients.layer import CONVOLUTION, LINEAR
from ndbench.verify.gradients.suite import FAMILY

ROOTS = {i.name: i for i in CATALOG if i.operation == "inverse-sqrt"}
NS5 = ROOTS["newton_schulz.T5"]
SPECTRAL = ROOTS["spectral"]
SCALED = replace(ROOTS["denman_beavers.T4"], target=Steps("denman_beavers", 2, scaled_steps=2))
IM2COL = next(i for i in CATALOG if i.name == "im2col")


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


class HalvedTangent(Function):
    """x itself, with half its tangent in forward mode."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g

    @staticmethod
    def jvp(ctx, t):
        return t / 2


def loop(A: Tensor, steps: int = 5, norm: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Newton-Schulz with any norm, through autograd."""
    c = A.norm(dim=(-2, -1), keepdim=True) if norm is None else norm(A)
    Y, Z, eye = A / c, identity_like(A).expand_as(A), identity_like(A)
    for _ in range(steps):
        S = (3 * eye - Z @ Y) / 2
        Y, Z = Y @ S, S @ Z
    return Z / c.sqrt()


def changed(tamper: Callable[..., Tensor], function: Callable[[Tensor], Any] = loop) -> Callable[[Tensor], Any]:
    return lambda A: Tampered.apply(A, function, tamper)


def borrowed(other: Callable[[Tensor], Tensor], values: Callable[[Tensor], Tensor] = loop) -> Callable[[Tensor], Any]:
    return lambda A: Borrowed.apply(A, values, other)


def own_norm(A: Tensor) -> Tensor:
    return A.norm(dim=(-2, -1), keepdim=True)


def detached_norm(A: Tensor) -> Tensor:
    return own_norm(A).detach()


def batch_norm(A: Tensor) -> Tensor:
    return own_norm(A).detach() * (A.norm() / A.norm().detach())


def zero_for_the_last(g: Tensor, *_: Any) -> Tensor:
    return torch.cat([g[:-1], torch.zeros_like(g[-1:])])


def in_float32(g: Tensor, A: Tensor, G: tuple[Tensor, ...]) -> Tensor:
    leaf = A.float().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(loop(leaf), leaf, G[0].float())[0].to(A.dtype)


def upstream_symmetrized_in_place(g: Tensor, A: Tensor, G: tuple[Tensor, ...]) -> Tensor:
    G[0].add_(G[0].mT.clone()).div_(2)
    return g


def by_subtraction(A: Tensor) -> Tensor:
    """The exact root's gradient by quotients (d_i - d_j) / (l_i - l_j), the gap kept from zero by 1e-8."""
    eigenvalues, V = torch.linalg.eigh(A.detach())
    d = eigenvalues.rsqrt()
    gap = eigenvalues[:, :, None] - eigenvalues[:, None, :]
    quotient = (d[:, :, None] - d[:, None, :]) / (gap + 1e-8)
    quotient = torch.where(gap == 0, -0.5 * d[:, :, None] ** 3, quotient)
    value = (V * d[:, None, :]) @ V.mT
    linear = V @ (quotient * (V.mT @ (A - A.detach()) @ V)) @ V.mT
    return value + linear


def eigenvectors_through_autograd(A: Tensor) -> Tensor:
    eigenvalues, V = torch.linalg.eigh(A)
    return (V * eigenvalues.rsqrt()[..., None, :]) @ V.mT


def constant_scale(A: Tensor) -> Tensor:
    """Scaled product form, mu held constant in the backward pass."""
    eye, M = identity_like(A), A
    Z = eye.expand_as(A)
    for _ in range(2):
        mu2 = (M.detach().logdet() / -A.shape[-1]).exp()[:, None, None]
        N = torch.linalg.inv(M) / mu2
        Z, M = mu2**0.5 * Z @ (eye + N) / 2, (eye + (mu2 * M + N) / 2) / 2
    return Z


class Scaled(Function):
    """x itself, with the gradient changed by tamper(g)."""

    @staticmethod
    def forward(ctx, x, tamper):
        ctx.tamper = tamper
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        return ctx.tamper(g), None


def lost(x: Tensor, where: bool) -> Tensor:
    """x itself, with no gradient there."""
    return Scaled.apply(x, lambda g: g * (not where))


class Refused(Function):
    """x itself, with a tangent that cannot be had."""

    @staticmethod
    def forward(x):
        return x.clone()

    @staticmethod
    def setup_context(ctx, inputs, output):
        pass

    @staticmethod
    def backward(ctx, g):
        return g

    @staticmethod
    def jvp(ctx, t):
        raise RuntimeError("size mismatch")


def detached_input(function: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, *arguments, **how: function(x.detach(), *arguments, **how)


def raising(A: Tensor) -> Tensor:
    if A.requires_grad:
        raise RuntimeError("expected scalar type Double but found Float")
    return loop(A)


def second_derivative_detached(A: Tensor) -> Tensor:
    """Right gradients, and beyond order 3 one that cannot be differentiated again."""
    return loop(A) if A.shape[-1] <= 3 else changed(lambda g, *_: g.detach())(A)


class StorageRead(Function):
    """A right gradient for contiguous G; of any other the storage is read in the order in which it lies."""

    @staticmethod
    def forward(ctx, A, function):
        with torch.enable_grad():
            ctx.leaf = A.detach().requires_grad_()
            ctx.found = function(ctx.leaf)
        return ctx.found.detach().clone()

    @staticmethod
    def backward(ctx, G):
        room = G.untyped_storage().nbytes() >= G.numel() * G.element_size()
        G = torch.as_strided(G, G.shape, torch.empty(G.shape).stride()) if room else G
        return torch.autograd.grad(ctx.found, ctx.leaf, G)[0], None


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


def root(name: str, rung: str, function: Callable[[Tensor], Any], base: Implementation = NS5) -> Sabotage:
    return Sabotage(name, rung, replace(base, name=f"sabotaged: {name}", function=function, unchecked=None))


def spectral(A: Tensor) -> Tensor:
    return inverse_sqrt(A.detach(), method="spectral")


IN_BFLOAT16 = replace(NS5, dtypes=(torch.bfloat16,))
FOUR_STEPS = partial(inverse_sqrt, steps=4)

ROOT_SABOTAGE = (
    root("transposed", "closed-form", changed(lambda g, *_: g.mT)),
    root("norm held constant", "closed-form", partial(loop, norm=detached_norm)),
    root("norm held constant, by blocks", "block-matrix", partial(loop, norm=detached_norm)),
    root("upper triangle only", "closed-form", changed(lambda g, *_: g.triu())),
    root("for G as if it were symmetric", "closed-form", changed(lambda g, *_: g + g.triu(1) - g.triu(1).mT)),
    root("one step too few in the adjoint", "closed-form", borrowed(partial(loop, steps=4))),
    root("one step too few, by complex steps", "complex-step", borrowed(partial(loop, steps=4))),
    root("gradient of the exact root", "differences", borrowed(partial(loop, steps=40))),
    root("gradient of the exact root, by its remainder", "taylor", borrowed(partial(loop, steps=40))),
    root("norm of the whole batch", "batch-independence", borrowed(partial(loop, norm=batch_norm))),
    root("norm of the whole batch, by its value", "closed-form", borrowed(partial(loop, norm=batch_norm))),
    root("accumulated in float32", "closed-form", changed(in_float32)),
    root("scaled by 1 + 1e-4", "closed-form", changed(lambda g, *_: g * (1 + 1e-4))),
    root("scaled by 1 + 1e-4, by differences", "differences", changed(lambda g, *_: g * (1 + 1e-4))),
    root("zero for one matrix", "closed-form", changed(zero_for_the_last)),
    root("zeros", "taylor", changed(lambda g, *_: torch.zeros_like(g))),
    root("saved tensor overwritten", "interleaving", SharedBuffer(loop)),
    root("upstream gradient changed in place", "inputs-unchanged", changed(upstream_symmetrized_in_place)),
    root("tangent halved", "dot-product", lambda A: loop(HalvedTangent.apply(A))),
    root("one percent too large", "wiring", changed(lambda g, *_: g * 1.01)),
    root("second derivative of a constant", "second-derivative", lambda A: Constant.apply(A, loop)),
    root("NaN at repeated eigenvalues", "repeated", eigenvectors_through_autograd, SPECTRAL),
    root("five steps for the exact root", "lyapunov", borrowed(loop, spectral), SPECTRAL),
    root("gap kept from zero by 1e-8", "closed-form", borrowed(by_subtraction, spectral), SPECTRAL),
    root("determinantal scale held constant", "block-matrix", constant_scale, SCALED),
    root("answer detached", "closed-form", detached_input(loop)),
    root("raises when a gradient is asked for", "closed-form", raising),
    root("forward mode raises", "dot-product", lambda A: loop(Refused.apply(A))),
    root("second derivative refused beyond order 3", "second-derivative", second_derivative_detached),
    root("lost beyond order 64", "closed-form", lambda A: inverse_sqrt(lost(A, A.shape[-1] > 64))),
    root(
        "lost beyond order 12 in float64",
        "closed-form",
        lambda A: loop(lost(A, A.shape[-1] > 12 and A.dtype == torch.float64)),
    ),
    root("storage of G read as if contiguous", "strides", lambda A: StorageRead.apply(A, loop)),
    root("lost in several batch dimensions", "leading-dimensions", lambda A: loop(lost(A, A.ndim > 3))),
    root("lost where entries are large", "closed-form", lambda A: loop(lost(A, bool(A.abs().max() > 50)))),
    root("lost where entries are small", "closed-form", lambda A: loop(lost(A, bool(A.abs().max() < 1e-2)))),
    root("scaled by 1.15 in bfloat16", "closed-form", changed(lambda g, *_: g * 1.15, NS5.function), IN_BFLOAT16),
    root("one step too few in bfloat16", "closed-form", borrowed(FOUR_STEPS, NS5.function), IN_BFLOAT16),
    root(
        "scaled by 1.01 where float32 is rounded once",
        "closed-form",
        changed(lambda g, *_: g * 1.01, SPECTRAL.function),
        replace(SPECTRAL, dtypes=(torch.bfloat16,)),
    ),
)


def covariance(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    return patch_covariance(x, *arguments, algorithm="im2col", **how)


def of_covariance(
    name: str, rung: str, tamper: Callable[..., Tensor], function: Callable[..., Any] = covariance
) -> Sabotage:
    def wrong(x: Tensor, *arguments: Any, **how: Any) -> Any:
        return Tampered.apply(x, lambda x: function(x, *arguments, **how), partial(tamper, how=how))

    return Sabotage(name, rung, replace(IM2COL, name=f"sabotaged: {name}", function=wrong))


def border_rows_dropped(g: Tensor, x: Tensor, G: Any, how: Any) -> Tensor:
    return g.index_fill(2, torch.tensor([0]), 0)


def wrong_divisor(g: Tensor, x: Tensor, G: Any, how: Any) -> Tensor:
    return g * (1 + 1 / (x.numel() - 1))


def mean_forgotten(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    return mean * 1.0 + 0 * mean.detach() - (mean - mean.detach()), cov


def later_images(g: Tensor) -> Tensor:
    return torch.cat([g[:3], 0 * g[3:]])


def images_lost(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    return covariance(Scaled.apply(x, later_images), *arguments, **how)


def channels_lost(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    return covariance(lost(x, x.shape[1] > 8), *arguments, **how)


def mean_detached(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    return mean.detach(), cov


def uncentered(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    held = mean.detach()
    outer = mean[..., :, None] * held[..., None, :]
    extra = outer + outer.mT
    return mean, cov + (extra - extra.detach())


def unsymmetrized(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    return mean, 2 * cov.triu() - cov.triu().detach() * 2 + cov.detach()


def plain(name: str, rung: str, function: Callable[..., Any]) -> Sabotage:
    return Sabotage(name, rung, replace(IM2COL, name=f"sabotaged: {name}", function=function))


def covariance_twice_of_a_constant(x: Tensor, *arguments: Any, **how: Any) -> Any:
    return Constant.apply(x, lambda x: covariance(x, *arguments, **how))


def covariance_tangent_halved(x: Tensor, *arguments: Any, **how: Any) -> Any:
    return covariance(HalvedTangent.apply(x), *arguments, **how)


BUFFERS: dict[Any, SharedBuffer] = {}


def covariance_of_a_shared_buffer(x: Tensor, *arguments: Any, **how: Any) -> Any:
    key = (arguments, tuple(sorted(how.items(), key=str)))
    return BUFFERS.setdefault(key, SharedBuffer(lambda x: covariance(x, *arguments, **how)))(x)


COVARIANCE_SABOTAGE = (
    of_covariance("border rows dropped", "enumeration", border_rows_dropped),
    of_covariance("wrong divisor", "enumeration", wrong_divisor),
    of_covariance("wrong divisor, by differences", "differences", wrong_divisor),
    plain("mean forgotten", "enumeration", mean_forgotten),
    plain("uncentered", "enumeration", uncentered),
    plain("upper triangle of G", "enumeration", unsymmetrized),
    plain("covariance tangent halved", "dot-product", covariance_tangent_halved),
    of_covariance("one percent too large, covariance", "wiring", lambda g, *_, how: g * 1.01),
    plain("covariance second derivative of a constant", "second-derivative", covariance_twice_of_a_constant),
    plain("lost from the third image on", "enumeration", images_lost),
    plain("lost beyond eight channels", "enumeration", channels_lost),
    plain("covariance detached", "enumeration", detached_input(covariance)),
    plain("mean detached from x", "enumeration", mean_detached),
    plain("covariance buffer overwritten", "interleaving", covariance_of_a_shared_buffer),
)


def layer(x: Tensor, weight: Tensor, bias: Tensor, *, detach: Callable[..., Any], **how: Any) -> Tensor:
    """A deconvolved convolution; `detach` changes mean and D on their way into the weight."""
    geometry = {name: how[name] for name in ("padding", "dilation", "block", "pooled", "grouping", "eps")}
    statistics = torch.promote_types(x.dtype, torch.float32)
    wide, weight, bias = (tensor.to(statistics) for tensor in (x, weight, bias))
    mean, cov = patch_covariance(wide, tuple(weight.shape[2:]), stride=how["sampling_stride"], **geometry)
    D = inverse_sqrt(cov, method=how["method"], steps=how.get("steps", 1))
    w, b = deconvolve(weight, bias, *detach(mean, D, how.get("correction", True)), grouping=how["grouping"])
    convolution = {name: how[name] for name in ("stride", "padding", "dilation", "groups")}
    return torch.conv2d(x, w.to(x.dtype), b.to(x.dtype), **convolution)


def as_asked(mean: Tensor, D: Tensor, correction: bool) -> tuple[Tensor, Tensor]:
    return (mean, D) if correction else (mean.detach(), D.detach())


def first_block_detached(mean: Tensor, D: Tensor, correction: bool) -> tuple[Tensor, Tensor]:
    return mean, D if D.ndim == 2 else torch.cat([D[:1].detach(), D[1:]])


RIGHT_LAYER = Implementation(
    "layer", CONVOLUTION, partial(layer, detach=as_asked), devices=("cpu",), derivatives=DERIVATIVES
)


def of_layer(name: str, rung: str, detach: Callable[..., Any]) -> Sabotage:
    function = partial(layer, detach=detach)
    return Sabotage(name, rung, replace(RIGHT_LAYER, name=f"sabotaged: {name}", function=function))


def right(x: Tensor, *tensors: Tensor, **how: Any) -> Tensor:
    return layer(x, *tensors, detach=as_asked, **how)


def layer_twice_of_a_constant(x: Tensor, *tensors: Tensor, **how: Any) -> Tensor:
    return Constant.apply(x, lambda x: right(x, *tensors, **how))


def layer_too_large(x: Tensor, *tensors: Tensor, **how: Any) -> Tensor:
    return Tampered.apply(x, lambda x: right(x, *tensors, **how), lambda g, *_: g * 1.01)


def layer_of_a_shared_buffer(x: Tensor, *tensors: Tensor, **how: Any) -> Any:
    key = ("layer", tuple(sorted(how.items(), key=str)), tensors[0].shape)
    return BUFFERS.setdefault(key, SharedBuffer(lambda x: right(x, *tensors, **how)))(x)


def layer_tangent_halved(x: Tensor, *tensors: Tensor, **how: Any) -> Tensor:
    return right(HalvedTangent.apply(x), *tensors, **how)


def nothing_when_detached(x: Tensor, *tensors: Tensor, correction: bool = True, **how: Any) -> Tensor:
    return right(lost(x, not correction), *tensors, **how)


def parameters_wrong(x: Tensor, weight: Tensor, bias: Tensor, **how: Any) -> Tensor:
    return right(x, Scaled.apply(weight, lambda g: 1.02 * g), bias, **how)


def bias_wrong(x: Tensor, weight: Tensor, bias: Tensor, **how: Any) -> Tensor:
    return right(x, weight, Scaled.apply(bias, lambda g: 7 * g), **how)


def zeroed(g: Tensor) -> Tensor:
    kept = g.clone()
    g.zero_()
    return kept


def upstream_zeroed(x: Tensor, *tensors: Tensor, **how: Any) -> Tensor:
    return Scaled.apply(right(x, *tensors, **how), zeroed)


def layer_images_lost(x: Tensor, *tensors: Tensor, **how: Any) -> Tensor:
    return right(Scaled.apply(x, later_images), *tensors, **how)


def float32_at_default_eps(x: Tensor, weight: Tensor, how: dict[str, Any]) -> bool:
    return bool(x.dtype == torch.float32 and how["eps"] < 1e-2)


def groups_of_other_kernels(x: Tensor, weight: Tensor, how: dict[str, Any]) -> bool:
    return bool(how["groups"] > 1 and weight.shape[-1] != 3)


def larger_separate_blocks(x: Tensor, weight: Tensor, how: dict[str, Any]) -> bool:
    return bool(not how["pooled"] and how["block"] > 4)


def stride_and_dilation(x: Tensor, weight: Tensor, how: dict[str, Any]) -> bool:
    return bool(how["stride"] != 1 and how["dilation"] != 1)


def other_methods(x: Tensor, weight: Tensor, how: dict[str, Any]) -> bool:
    return bool(how["method"] != "newton_schulz" and how.get("steps", 5) != 5)


def lost_where(where: Callable[..., bool]) -> Callable[..., Tensor]:
    """A right layer whose gradient is lost where `where(x, weight, how)` holds."""
    return lambda x, weight, bias, **how: right(lost(x, where(x, weight, how)), weight, bias, **how)


def detached_where(where: Callable[..., bool]) -> Callable[..., Tensor]:
    """The same with mean and D detached there."""

    def wrong(x: Tensor, weight: Tensor, bias: Tensor, correction: bool = True, **how: Any) -> Tensor:
        return right(x, weight, bias, correction=correction and not where(x, weight, how), **how)

    return wrong


def whole(name: str, rung: str, function: Callable[..., Any]) -> Sabotage:
    return Sabotage(name, rung, replace(RIGHT_LAYER, name=f"sabotaged: {name}", function=function))


LAYER_SABOTAGE = (
    of_layer("D and mean detached", "differences", lambda mean, D, _: (mean.detach(), D.detach())),
    of_layer("D detached", "closed-form", lambda mean, D, _: (mean, D.detach())),
    of_layer("mean detached", "differences", lambda mean, D, _: (mean.detach(), D)),
    of_layer("D detached in one block", "closed-form", first_block_detached),
    of_layer("D detached in one block, by differences", "differences", first_block_detached),
    of_layer("correction cannot be switched off", "correction", lambda mean, D, _: (mean, D)),
    of_layer("correction cannot be switched off, by its value", "detached", lambda mean, D, _: (mean, D)),
    whole("x detached", "closed-form", detached_input(RIGHT_LAYER.function)),
    whole("layer one percent too large", "wiring", layer_too_large),
    whole("layer buffer overwritten", "interleaving", layer_of_a_shared_buffer),
    whole("layer second derivative of a constant", "second-derivative", layer_twice_of_a_constant),
    whole("layer tangent halved", "dot-product", layer_tangent_halved),
    whole("zero without the correction", "detached", nothing_when_detached),
    whole("weight's gradient two percent too large", "parameters", parameters_wrong),
    whole("bias's gradient seven times too large", "parameters", bias_wrong),
    whole("upstream gradient zeroed", "inputs-unchanged", upstream_zeroed),
    whole("layer lost from the third image on", "closed-form", layer_images_lost),
    whole("detached in 16-bit types", "closed-form", detached_where(lambda x, w, how: x.dtype.itemsize == 2)),
    whole("lost in float32 at the default eps", "closed-form", lost_where(float32_at_default_eps)),
    whole("lost in groups of another kernel than 3", "closed-form", lost_where(groups_of_other_kernels)),
    whole("detached in larger separate blocks", "closed-form", detached_where(larger_separate_blocks)),
    whole("lost where stride meets dilation", "closed-form", lost_where(stride_and_dilation)),
    whole("detached in other methods and T", "closed-form", detached_where(other_methods)),
)


def as_linear(function: Callable[..., Any]) -> Callable[..., Any]:
    """A convolution by one pixel as the linear layer of every pixel's channels."""
    plain = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1, "sampling_stride": 1}

    def linear(x: Tensor, weight: Tensor, bias: Tensor, **how: Any) -> Tensor:
        return function(x.movedim(-1, 1), weight[:, :, None, None], bias, **plain, **how).movedim(1, -1)

    return linear


RIGHT_LINEAR = replace(RIGHT_LAYER, name="linear", operation=LINEAR, function=as_linear(right))


def of_linear(name: str) -> Sabotage:
    """The linear form of a sabotaged convolution."""
    wrong = next(s for s in LAYER_SABOTAGE if s.name == name)
    implementation = replace(wrong.implementation, operation=LINEAR, function=as_linear(wrong.implementation.function))
    return replace(wrong, name=f"{name}, linear", implementation=implementation)


LINEAR_SABOTAGE = tuple(
    of_linear(name)
    for name in (
        "D detached",
        "mean detached",
        "correction cannot be switched off",
        "layer one percent too large",
        "layer buffer overwritten",
        "layer second derivative of a constant",
        "layer tangent halved",
        "zero without the correction",
        "weight's gradient two percent too large",
        "upstream gradient zeroed",
    )
)

SABOTAGE = ROOT_SABOTAGE + COVARIANCE_SABOTAGE + LAYER_SABOTAGE + LINEAR_SABOTAGE
RIGHT = (
    replace(NS5, function=partial(roots.newton_schulz, steps=5), unchecked=None),
    replace(SPECTRAL, name="inverse of a converged loop", function=partial(loop, steps=40), unchecked=None),
    Implementation(
        "plain.T5", "inverse-sqrt", partial(roots.denman_beavers_plain, steps=5), Steps("denman_beavers_plain", 5)
    ),
    IM2COL,
    RIGHT_LAYER,
    RIGHT_LINEAR,
)
