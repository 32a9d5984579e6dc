"""Options of another type are refused by name, by every layer."""

import re

import pytest
import torch
from torch import nn

from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear, convert

LAYERS = [(Deconv2d, (4, 3, 3)), (DeconvLinear, (4, 3)), (ChannelDeconv2d, (4,))]
WRONG = {
    "freeze_after": ([1.5, True, "2"], "an integer"),
    "momentum": ([True, "0.1"], "a number"),
    "eps": (["a", None, True], "a number"),
    "sync": (["no", 1, None], "True or False"),
    "bias_correction": (["no", 0], "True or False"),
    "track_running_stats": (["no", 1], "True or False"),
}


@pytest.mark.parametrize(("make", "arguments"), LAYERS)
@pytest.mark.parametrize(
    ("option", "value", "kind"), [(name, value, kind) for name, (values, kind) in WRONG.items() for value in values]
)
def test_options_of_another_type(make, arguments, option, value, kind):
    with pytest.raises(TypeError, match=re.escape(f"{make.__name__}: {option} must be {kind}; got {value!r}")):
        make(*arguments, **{option: value})


@pytest.mark.parametrize(("make", "arguments"), LAYERS)
def test_pooled_of_another_type(make, arguments):
    with pytest.raises(TypeError, match=f"{make.__name__}: pooled must be True or False; got 'no'"):
        make(*arguments, pooled="no")


def test_affine_of_another_type():
    with pytest.raises(TypeError, match="ChannelDeconv2d: affine must be True or False; got 'no'"):
        ChannelDeconv2d(4, affine="no")


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
@pytest.mark.parametrize(
    ("make", "arguments"), [(Deconv2d, (0, 4, 3)), (DeconvLinear, (0, 3)), (ChannelDeconv2d, (0,))]
)
def test_no_channels(make, arguments):
    with pytest.raises(ValueError, match=f"{make.__name__}: the number of input channels must be at least 1; got 0"):
        make(*arguments)


@pytest.mark.parametrize("count", [-4, 2.5, True])
def test_channels_that_are_no_count(count):
    with pytest.raises((TypeError, ValueError), match="ChannelDeconv2d: the number of input channels must be"):
        ChannelDeconv2d(count)


KNOWN = {
    "Deconv2d": "in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode, eps, "
    "steps, method, momentum, block, sampling_stride, grouping, pooled, device, dtype, ",
    "DeconvLinear": "in_features, out_features, bias, block, eps, steps, method, momentum, grouping, pooled, device, "
    "dtype, ",
    "ChannelDeconv2d": "num_features, eps, momentum, affine, track_running_stats, block, steps, method, "
    "sampling_stride, grouping, pooled, device, dtype, ",
}
PASSED = "lower, scaled_steps, running, bias_correction, freeze_after, sync"
OTHERS = f"{PASSED}, track_running_stats"


@pytest.mark.parametrize(("make", "arguments"), LAYERS)
def test_all_options_are_listed(make, arguments):
    name = make.__name__
    rest = PASSED if make is ChannelDeconv2d else OTHERS
    with pytest.raises(TypeError, match=f"^{name}: there is no option wrong, only {KNOWN[name]}{rest}$"):
        make(*arguments, wrong=1)


def test_all_settings_of_conversion_are_listed():
    message = (
        "^convert: there is no setting wrong, only block, sampling_stride, linear_block, unfolded, leave, data, "
        f"inplace, {OTHERS}, eps, steps, method, momentum, grouping, pooled$"
    )
    with pytest.raises(TypeError, match=message):
        convert(nn.Sequential(nn.Linear(2, 2)), wrong=1)


RANGES = {
    "method": ({"method": "x"}, ValueError, "method must be one of newton_schulz, "),
    "steps": ({"steps": 0}, ValueError, "steps must be at least 1; got 0"),
    "steps of another type": ({"steps": 1.5}, TypeError, "steps must be an integer; got 1.5"),
    "lower": ({"lower": 0.0}, ValueError, "lower must lie in (0, 1]"),
    "scaled steps": ({"method": "denman_beavers", "scaled_steps": -1}, ValueError, "scaled_steps must lie between 0"),
}


@pytest.mark.parametrize(("make", "arguments"), LAYERS)
@pytest.mark.parametrize(("options", "error", "message"), RANGES.values(), ids=RANGES)
def test_the_layer_is_named(make, arguments, options, error, message):
    with pytest.raises(error, match=re.escape(f"{make.__name__}: {message}")):
        make(*arguments, **options)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors:UserWarning")
@pytest.mark.parametrize(
    ("argument", "value", "least"),
    [("kernel_size", 0, 1), ("kernel_size", (3, 0), 1), ("stride", 0, 1), ("padding", -1, 0), ("dilation", 0, 1)],
)
def test_sizes_out_of_range(argument, value, least):
    arguments = {"in_channels": 3, "out_channels": 4, "kernel_size": 3, argument: value}
    with pytest.raises(
        ValueError, match=f"^Deconv2d: {argument} must be an integer or a pair .*, at least {least}; got"
    ):
        Deconv2d(**arguments)


INPUTS = {
    "kernel": (lambda: Deconv2d(3, 4, 3)(torch.ones(2, 3, 2, 2)), ValueError, r"Deconv2d: kernel \(3, 3\) .* must fit"),
    "dimensions": (
        lambda: Deconv2d(3, 4, 3)(torch.ones(1, 2, 3, 8, 8)),
        ValueError,
        r"Deconv2d: x must have shape \(N",
    ),
    "list": (lambda: Deconv2d(3, 4, 3)([1]), TypeError, "Deconv2d: the input must be a tensor; got a list"),
    "linear list": (lambda: DeconvLinear(3, 4)([1]), TypeError, "DeconvLinear: the input must be a tensor; got a list"),
    "channel list": (
        lambda: ChannelDeconv2d(3)([1]),
        TypeError,
        "ChannelDeconv2d: the input must be a tensor; got a l",
    ),
    "empty": (
        lambda: DeconvLinear(3, 4)(torch.ones(0, 3)),
        ValueError,
        "DeconvLinear: the input must not be empty; the",
    ),
}


@pytest.mark.parametrize(("call", "error", "message"), INPUTS.values(), ids=INPUTS)
def test_inputs(call, error, message):
    with pytest.raises(error, match=f"^{message}"):
        call()
