"""Options of another type are refused by name, by every layer."""

import re

import pytest

from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear

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
