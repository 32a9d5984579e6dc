"""Every check of layers fails on a layer that is wrong in just the way it is there to find."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from torch import nn

from ndbench.catalog import LAYERS, Implementation
from ndbench.layers.built import channel_deconv2d, deconv2d, deconv_linear
from ndbench.layers.whitening import Whitening
from ndbench.verify.layers import CHECKS
from ndbench.verify.verdict import Status

CHECK = {(check.operation, check.name): check for check in CHECKS}
RIGHT = {implementation.name: implementation for implementation in LAYERS}


def whitening(module: nn.Module) -> Whitening:
    return next(part for part in module.modules() if isinstance(part, Whitening))


def with_options(**options):
    def damage(layer):
        layer.options = replace(layer.options, **options)

    return damage


def with_moments(change: Callable):
    """Statistics changed after, or before, they are computed."""

    def damage(layer):
        right = layer.moments
        layer.moments = lambda x: change(right, x)

    return damage


def uncentered(right, x):
    mean, cov = right(x)
    return mean, cov + mean[..., :, None] * mean[..., None, :]


def without_mean(right, x):
    mean, cov = right(x)
    return 0 * mean, cov


def other_divisor(right, x):
    mean, cov = right(x)
    return mean, cov * (1 + 1e-3)


def detached(right, x):
    return right(x.detach())


def mean_detached(right, x):
    mean, cov = right(x)
    return mean.detach(), cov


def first_image(right, x):
    return right(x[:1])


def half_precision(right, x):
    return right(x.to(torch.bfloat16).to(x.dtype))


def one_step_too_few(layer):
    layer.options = replace(layer.options, steps=max(1, layer.options.steps - 1), eps=layer.options.eps)


def transposed_root(layer):
    right = layer.root
    layer.root = lambda cov: right(cov) + 1e-3 * torch.triu(torch.ones_like(cov), 1)


def stale(layer):
    """What was folded first is kept for ever."""
    fold = layer.folded_averages
    kept = []
    layer.folded_averages = lambda: kept[0] if kept else kept.append(fold()) or kept[0]


def batch_when_evaluating(layer):
    layer.__class__ = type("Wrong", (type(layer),), {"uses_batch": True})


def mean_forgotten_when_evaluating(layer):
    right = layer.averages
    layer.averages = lambda: (right()[0] if layer.training else 0 * right()[0], right()[1])


def all_patches(layer):
    layer.sampling_stride = 1


def strides_of_pixels(layer):
    """The sampling stride counts pixels instead of strides of the convolution."""
    apart = layer.sampling_stride
    layer.moments = lambda x: layer.moments_of(x, replace(layer.patches, stride=(apart, apart)))


def every_line(layer):
    """Only columns are left out."""
    right, apart = layer.moments, layer.sampling_stride
    layer.sampling_stride = 1
    layer.moments = lambda x: right(x[..., ::apart])


def without_padding(layer):
    layer._zeros = lambda: (0, 0)


@dataclass(frozen=True)
class Wrong:
    """A layer with one mistake, and the check that has to find it."""

    damage: Callable[[Whitening], None]
    check: str
    on: str = "Deconv2d"

    @property
    def name(self) -> str:
        inner = self.damage.__closure__
        what = self.damage.__name__ if inner is None else getattr(inner[0].cell_contents, "__name__", None)
        return f"{what or inner[0].cell_contents}, {self.check}, {self.on}"

    @property
    def implementation(self) -> Implementation:
        build = {"Deconv2d": deconv2d, "DeconvLinear": deconv_linear, "ChannelDeconv2d": channel_deconv2d}[self.on]

        def function(weight, bias, **how):
            module = build(weight, bias, **how)
            self.damage(whitening(module))
            return module

        return replace(RIGHT[self.on], function=function)


WRONG = (
    *(Wrong(with_moments(uncentered), "layer-output", on) for on in RIGHT),
    *(Wrong(with_moments(without_mean), "layer-output", on) for on in RIGHT),
    *(Wrong(with_moments(other_divisor), "layer-averages", on) for on in RIGHT),
    Wrong(with_moments(first_image), "layer-output"),
    Wrong(with_moments(half_precision), "layer-output"),
    *(Wrong(with_moments(detached), "layer-gradient", on) for on in RIGHT),
    Wrong(with_moments(mean_detached), "layer-gradient"),
    Wrong(with_options(eps=0.0), "layer-output"),
    *(Wrong(with_options(bias_correction=False), check) for check in ("layer-averages", "layer-algorithm-1")),
    Wrong(with_options(momentum=0.7), "layer-averages"),
    Wrong(with_options(momentum=None), "layer-averages"),
    Wrong(one_step_too_few, "layer-output"),
    Wrong(transposed_root, "layer-parameters"),
    *(Wrong(stale, "layer-evaluation", on) for on in ("Deconv2d", "DeconvLinear")),
    Wrong(batch_when_evaluating, "layer-evaluation"),
    Wrong(batch_when_evaluating, "layer-algorithm-1"),
    Wrong(mean_forgotten_when_evaluating, "layer-algorithm-1"),
    *(Wrong(all_patches, "layer-output", on) for on in ("Deconv2d", "ChannelDeconv2d")),
    Wrong(every_line, "layer-averages", "ChannelDeconv2d"),
    Wrong(strides_of_pixels, "layer-output"),
    Wrong(without_padding, "layer-output"),
)


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.name)
def test_caught(wrong):
    check = CHECK[RIGHT[wrong.on].operation, wrong.check]
    verdicts = (check(wrong.implementation, problem) for problem in check.problems["quick"])
    assert any(verdict.status == Status.FAILED and verdict.measured > verdict.budget for verdict in verdicts)


def test_strides_of_convolutions_and_of_what_is_counted_are_posed():
    for tier in ("quick", "full"):
        posed = {(p.images.kernel_size, p.images.stride, p.sampling_stride) for p in problems_of("layer", tier)}
        assert posed >= {(k, stride, stride * apart) for k in (1, 3) for stride, apart in ((1, 3), (2, 1), (2, 3))}
        assert {p.sampling_stride for p in problems_of("layer-of-one-pixel", tier)} >= {1, 2, 3}


def problems_of(operation, tier):
    return {p for check in CHECKS if check.operation == operation for p in check.problems[tier]}


def test_a_linear_layer_counts_all_rows():
    sampled = next(p for p in problems_of("layer-of-one-pixel", "quick") if p.sampling_stride == 3)
    reason = "it counts all rows, and has no sampling stride"
    for check in CHECKS:
        if check.operation == "layer-of-one-pixel":
            verdict = check(RIGHT["DeconvLinear"], sampled)
            assert (verdict.status, verdict.reason) == (Status.NOT_RUN, reason)
            assert check(RIGHT["ChannelDeconv2d"], sampled).status == Status.PASSED


def test_every_check_has_a_sabotage():
    assert {wrong.check for wrong in WRONG} == {check.name for check in CHECKS}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: f"{check.name}, {check.operation}")
def test_right_layers_pass(check):
    for implementation in LAYERS:
        if implementation.operation == check.operation:
            verdict = check(implementation, check.problems["quick"][0])
            assert verdict.status == Status.PASSED, verdict
