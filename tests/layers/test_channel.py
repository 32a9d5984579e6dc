"""What channel layers do to types and layouts of memory; the rest is in the tests of all layers and in verification."""

import copy

import pytest
import torch

from ndbench.layers import ChannelDeconv1d, ChannelDeconv2d, ChannelDeconv3d

LAYERS = {1: ChannelDeconv1d, 2: ChannelDeconv2d, 3: ChannelDeconv3d}
BLOCKS = [{}, {"block": 2, "pooled": False}, {"block": 2, "grouping": "interleaved"}]


def inputs(axes, mean=0.0):
    generator = torch.Generator().manual_seed(axes)
    return torch.randn((6, 4, *[5] * axes), generator=generator).cumsum(1) + mean


def seen(axes, mean, **options):
    """A layer with averages, and one that computes in float64 by the same parameters and averages."""
    made = LAYERS[axes](4, sampling_stride=1, **options)
    made(inputs(axes, mean))
    return made.eval(), copy.deepcopy(made).double()


@pytest.mark.parametrize("mean", [0.0, 100.0])
@pytest.mark.parametrize("options", BLOCKS)
@pytest.mark.parametrize("axes", LAYERS)
def test_autocast_costs_no_digits_and_keeps_the_type(axes, options, mean):
    x = inputs(axes, mean)
    made, exact = seen(axes, mean, affine=True, **options)
    trained = copy.deepcopy(made).train()
    wanted = copy.deepcopy(trained)(x)
    with torch.autocast("cpu", torch.bfloat16):
        found, whitened = made(x), trained(x)
    assert found.dtype == whitened.dtype == torch.float32
    # D x and D mean are about a thousand each where the mean is a hundred
    assert (found - exact(x.double())).abs().max() < 2**-24 * 50 * (1 + mean)
    torch.testing.assert_close(whitened, wanted, rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("options", BLOCKS)
@pytest.mark.parametrize("training", [True, False])
def test_16_bits_round_once(training, options, dtype):
    x = inputs(2, 100.0).to(dtype)
    made, exact = seen(2, 100.0, **options)
    y, wanted = made.train(training)(x), exact.train(training)(x.double())
    assert y.dtype == dtype
    u = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(y.double(), wanted, rtol=1.01 * u, atol=2**-24 * 5000)


@pytest.mark.parametrize("options", BLOCKS)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("axes", "last"), [(2, torch.channels_last), (3, torch.channels_last_3d)])
def test_channels_last_stay_last(axes, last, training, options):
    x = inputs(axes)
    made, _ = seen(axes, 0.0, **options)
    made.train(training)
    y = made(x.contiguous(memory_format=last))
    assert y.stride() == x.contiguous(memory_format=last).stride()
    assert made(x).stride() == x.stride()
    torch.testing.assert_close(y, made(x))


@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
@pytest.mark.parametrize("training", [True, False])
def test_what_is_not_floating_point_is_refused_and_not_averaged(training, dtype):
    made, _ = seen(2, 0.0)
    kept = copy.deepcopy(made.state_dict())
    with pytest.raises(
        TypeError, match=f"ChannelDeconv2d: the input must be real floating point; got {dtype}; convert"
    ):
        made.train(training)(inputs(2).to(dtype))
    torch.testing.assert_close(made.state_dict(), kept, rtol=0, atol=0)


def test_the_input_has_its_usual_name():
    made, _ = seen(2, 0.0)
    assert torch.equal(made(input=inputs(2)), made(inputs(2)))


@pytest.mark.parametrize("axes", LAYERS)
def test_statistics_are_those_of_the_pixels_that_are_counted(axes):
    made, x = LAYERS[axes](4, sampling_stride=3, momentum=None), inputs(axes).double()
    made.double()(x)
    counted = x[(..., *[slice(None, None, 3)] * axes)].transpose(0, 1).flatten(1)
    torch.testing.assert_close(made.running_mean, counted.mean(1))
    everything = LAYERS[axes](4, sampling_stride=1, momentum=None).double()
    everything(x)
    assert not torch.allclose(made.running_mean, everything.running_mean)


@pytest.mark.parametrize("options", [{"affine": True}, *BLOCKS])
def test_rows_are_sequences_of_length_one(options):
    x = inputs(0).double()
    made = ChannelDeconv1d(4, dtype=torch.float64, **options)
    same = copy.deepcopy(made)
    for training in (True, False):
        y, wanted = made.train(training)(x), same.train(training)(x[..., None])
        torch.testing.assert_close(y, wanted[..., 0], rtol=0, atol=0)
    torch.testing.assert_close(made.state_dict(), same.state_dict(), rtol=0, atol=0)


def test_behind_a_linear_layer_as_batch_normalization():
    torch.manual_seed(0)
    y = torch.nn.Sequential(torch.nn.Linear(5, 8), ChannelDeconv1d(8, eps=0.0, steps=15))(torch.randn(64, 5))
    torch.testing.assert_close(y.mean(0), torch.zeros(8), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("axes", "shape", "dimensions"),
    [(1, (4,), "2 or 3"), (1, (2, 4, 1, 1), "2 or 3"), (1, (4, 2), "2 or 3"), (2, (2, 4), "4"), (3, (2, 4, 5), "5")],
)
def test_other_shapes_are_refused(axes, shape, dimensions):
    message = f"ChannelDeconv{axes}d: the input must have {dimensions} dimensions and 4 channels; got shape"
    with pytest.raises(ValueError, match=message):
        LAYERS[axes](4)(torch.zeros(shape))
