"""Deconvolved layers with wrong gradients, each with the rung that must catch it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ndbench import deconvolve, inverse_sqrt, patch_covariance
from ndbench.catalog import DERIVATIVES, Implementation
from ndbench.verify.gradients.layer import CONVOLUTION, LINEAR
from tests.verify.gradients.wrong_gradients import (
    HalvedTangent,
    Sabotage,
    Scaled,
    changed,
    fed,
    later_images_lost,
    lost,
    of_a_shared_buffer,
    one_percent_too_large,
    sabotage,
    twice_of_a_constant,
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


def right(x: Tensor, *tensors: Tensor, **how: Any) -> Tensor:
    return layer(x, *tensors, detach=as_asked, **how)


RIGHT_LAYER = Implementation("layer", CONVOLUTION, right, devices=("cpu",), derivatives=DERIVATIVES)


def whole(name: str, rung: str, function: Callable[..., Any]) -> Sabotage:
    return sabotage(name, rung, RIGHT_LAYER, function)


def of_layer(name: str, rung: str, detach: Callable[..., Any]) -> Sabotage:
    return whole(name, rung, partial(layer, detach=detach))


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


LAYER_SABOTAGE = (
    of_layer("D and mean detached", "differences", lambda mean, D, _: (mean.detach(), D.detach())),
    of_layer("D detached", "closed-form", lambda mean, D, _: (mean, D.detach())),
    of_layer("mean detached", "differences", lambda mean, D, _: (mean.detach(), D)),
    of_layer("D detached in one block", "closed-form", first_block_detached),
    of_layer("D detached in one block, by differences", "differences", first_block_detached),
    of_layer("correction cannot be switched off", "correction", lambda mean, D, _: (mean, D)),
    of_layer("correction cannot be switched off, by its value", "detached", lambda mean, D, _: (mean, D)),
    whole("x detached", "closed-form", fed(Tensor.detach, right)),
    whole("layer one percent too large", "wiring", changed(one_percent_too_large, right)),
    whole("layer buffer overwritten", "interleaving", of_a_shared_buffer(right)),
    whole("layer second derivative of a constant", "second-derivative", twice_of_a_constant(right)),
    whole("layer tangent halved", "dot-product", fed(HalvedTangent.apply, right)),
    whole("zero without the correction", "detached", nothing_when_detached),
    whole("weight's gradient two percent too large", "parameters", parameters_wrong),
    whole("bias's gradient seven times too large", "parameters", bias_wrong),
    whole("upstream gradient zeroed", "inputs-unchanged", upstream_zeroed),
    whole("layer lost from the third image on", "closed-form", fed(later_images_lost, right)),
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
