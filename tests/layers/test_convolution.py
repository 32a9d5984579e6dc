import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear
from ndbench.layers.published import FastDeconv
from ndbench.operations.layer import deconvolved_conv2d
from ndbench.operations.roots import METHODS

CASES = {
    "default": ((6, 4, 3), {"padding": 1}),
    "blocks": ((6, 4, 3), {"block": 3, "stride": 2}),
    "separate": ((6, 4, 3), {"block": 2, "pooled": False, "dilation": 2}),
    "groups": ((6, 4, 3), {"groups": 2, "padding": (2, 1)}),
    "interleaved": ((6, 4, (3, 2)), {"block": 3, "grouping": "interleaved"}),
    "pixels": ((6, 4, 1), {"eps": 1e-2, "bias": False}),
    "even": ((6, 4, 2), {"steps": 9, "method": "denman_beavers"}),
    "large": ((2, 3, 7), {"padding": 3, "method": "spectral"}),
    "same": ((6, 4, (3, 5)), {"padding": "same"}),
}


def image(*shape, seed=0, dtype=torch.float64):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return (x + 0.5 * x.roll(1, -1) + 2).to(dtype)


def layer(arguments, options, **more):
    torch.manual_seed(1)
    return Deconv2d(*arguments, **{"dtype": torch.float64, "sampling_stride": 2, **options, **more})


@pytest.mark.parametrize(("arguments", "options"), CASES.values(), ids=CASES)
def test_training_is_the_operation_on_the_batch(arguments, options):
    made, x = layer(arguments, options), image(3, arguments[0], 11, 9)
    same = {"padding": (1, 2)} if options.get("padding") == "same" else {}
    composed = {name: v for name, v in options.items() if name != "bias"} | {"block": made.block} | same
    composed["sampling_stride"] = tuple(2 * step for step in made.stride)
    found, wanted = x.clone().requires_grad_(), x.clone().requires_grad_()
    y = made(found)
    z = deconvolved_conv2d(wanted, made.weight, made.bias, **composed)
    torch.testing.assert_close(y, z, rtol=1e-12, atol=1e-12)
    g = image(*y.shape, seed=2)
    leaves = [made.weight, *([made.bias] if made.bias is not None else [])]
    ours, theirs = torch.autograd.grad(y, [found, *leaves], g), torch.autograd.grad(z, [wanted, *leaves], g)
    for mine, reference in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, reference, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("arguments", "options"), CASES.values(), ids=CASES)
def test_evaluation_after_one_batch_is_the_folded_convolution(arguments, options):
    made, x = layer(arguments, options), image(3, arguments[0], 11, 9)
    y = made(x).detach()
    torch.testing.assert_close(made.eval()(x), y, rtol=1e-12, atol=1e-12)
    weight, bias = made.fold(made.running_mean, made.running_deconv)
    geometry = (made.stride, made.padding, made.dilation, made.groups)
    assert torch.equal(functional.conv2d(x, weight, bias, *geometry), made(x))


def test_signature_and_parameters_are_those_of_conv2d():
    torch.manual_seed(3)
    ours = Deconv2d(4, 6, (3, 2), 2, (1, 0), 1, 2, False)
    torch.manual_seed(3)
    theirs = nn.Conv2d(4, 6, (3, 2), 2, (1, 0), 1, 2, False)
    assert torch.equal(ours.weight, theirs.weight)
    assert ours.bias is None
    assert ours(torch.randn(5, 4, 8, 8)).shape == theirs(torch.randn(5, 4, 8, 8)).shape


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
def test_untrained_evaluation_is_the_convolution(running, method):
    made, x = layer((6, 4, 3), {"padding": 1}, running=running, method=method).eval(), image(2, 6, 5, 5)
    torch.testing.assert_close(made(x), nn.Conv2d.forward(made, x), rtol=1e-13, atol=1e-13)


def test_blocks_divide_the_channels():
    assert [Deconv2d(c, 1, 1, block=b).block for c, b in ((3, 64), (96, 64), (256, 64), (7, 4), (6, None))] == [
        3, 48, 64, 1, 6,
    ]  # fmt: skip
    assert Deconv2d(256, 8, 1, groups=8).block == 32


def test_channels_last_and_halves():
    made, x = layer((6, 4, 3), {"padding": 1}, dtype=torch.float32), image(3, 6, 8, 8, dtype=torch.float32)
    y = made(x)
    torch.testing.assert_close(made(x.to(memory_format=torch.channels_last)), y, rtol=1e-5, atol=1e-5)
    half = layer((6, 4, 3), {"padding": 1}, dtype=torch.bfloat16)
    half.load_state_dict(made.state_dict())
    assert half.running_deconv.dtype == torch.float32
    z = half(x.bfloat16())
    assert z.dtype == torch.bfloat16
    torch.testing.assert_close(z.float(), y, rtol=0.1, atol=0.1)


def test_autocast_keeps_statistics_in_float32():
    made, x = layer((6, 4, 3), {"padding": 1}, dtype=torch.float32), image(3, 6, 8, 8, dtype=torch.float32)
    made(x)
    wanted = made.running_deconv.clone()
    made.num_batches_tracked.zero_()
    with torch.autocast("cpu", torch.bfloat16):
        y = made(x)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(made.running_deconv, wanted, rtol=1e-6, atol=1e-6)


def test_repr_tells_convolution_and_whitening():
    shown = repr(Deconv2d(4, 2, 3, stride=2, running="covariance"))
    for part in ("4, 2, kernel_size=(3, 3), stride=(2, 2)", "block=4", "running=covariance", "eps=1e-05"):
        assert part in shown
    assert "sampling_stride" not in shown
    assert "sampling_stride=2" in repr(Deconv2d(4, 2, 3, sampling_stride=2))
    assert "sampling_stride=1" in repr(ChannelDeconv2d(4, sampling_stride=1))


WRONG = (
    ({"block": 0}, ValueError, "block must be at least 1"),
    ({"grouping": "rows"}, ValueError, "grouping must be one of channel, interleaved"),
    ({"grouping": "interleaved", "groups": 2}, ValueError, "spread over all 2 groups"),
    ({"sampling_stride": 0}, ValueError, "sampling_stride must be at least 1"),
    ({"block": "4"}, TypeError, "Deconv2d: block must be an integer"),
    ({"sampling_stride": 1.5}, TypeError, "Deconv2d: sampling_stride must be an integer"),
    ({"padding": "same", "kernel_size": 2}, ValueError, "odd kernels"),
    ({"eps": -1.0}, ValueError, "eps must be finite and not negative"),
    ({"momentum": 0.0}, ValueError, r"momentum must lie in \(0, 1\]"),
    ({"running": "root"}, ValueError, "running must be one of deconvolution, covariance"),
    ({"freeze_after": 0}, ValueError, "freeze_after must be at least 1"),
    ({"freeze_after": 5, "track_running_stats": False}, ValueError, "needs running averages"),
    ({"method": "cholesky"}, ValueError, "method must be one of newton_schulz"),
    ({"steps": 0}, ValueError, "steps must be at least 1"),
    ({"method": "minimax_cubic", "lower": 2.0}, ValueError, r"lower must lie in \(0, 1\]"),
    ({"padding_mode": "reflect"}, ValueError, 'padding_mode must be "zeros"'),
    ({"groups": 3}, ValueError, "divisible by groups"),
)


@pytest.mark.parametrize(("options", "error", "message"), WRONG)
def test_wrong_arguments(options, error, message):
    with pytest.raises(error, match=message):
        Deconv2d(4, 4, **{"kernel_size": 3, **options})


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((2, 4, 5), "must have 4 channels"),
        ((0, 4, 5, 5), "must not be empty"),
        ((2, 4, 2, 2), "must fit into the padded image"),
    ],
)
def test_inputs_without_a_patch(shape, message):
    made = Deconv2d(4, 2, 3)
    with pytest.raises(ValueError, match=message):
        made(torch.zeros(shape))
    assert made.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("made", "x", "error", "message"),
    [
        (Deconv2d(4, 2, 1), torch.zeros(2, 8, 3, 3), ValueError, "Deconv2d: the input must have 4 channels"),
        (Deconv2d(4, 2, 1), torch.zeros(4, 4), ValueError, "Deconv2d: the input must have 4 channels"),
        (Deconv2d(4, 2, 1), torch.zeros(2, 4, 3, 3).double(), TypeError, "must have the weight's type torch.float32"),
        (DeconvLinear(4, 2), torch.zeros(5, 8), ValueError, "DeconvLinear: the input must have 4 channels"),
        (DeconvLinear(4, 2), torch.zeros(()), ValueError, "DeconvLinear: the input must have 4 channels"),
        (DeconvLinear(4, 2), torch.zeros(5, 4).half(), TypeError, "got torch.float16; convert one"),
    ],
)
def test_what_the_weight_does_not_fit_is_not_averaged(made, x, error, message):
    with pytest.raises(error, match=message):
        made(x)
    assert made.num_batches_tracked == 0
    with pytest.raises(error, match=message):
        made.eval()(x)


@pytest.mark.parametrize("kernel", [1, 3])
def test_one_image_is_a_batch(kernel):
    made, x = layer((6, 4, kernel), {}), image(1, 6, 8, 8)
    other = copy.deepcopy(made)
    assert torch.equal(made(x[0]), other(x)[0])
    assert torch.equal(made.running_deconv, other.running_deconv)
    assert torch.equal(made.eval()(x[0]), other.eval()(x)[0])


@pytest.mark.parametrize(
    ("made", "shape"),
    [
        (Deconv2d(4, 3, 3, 1, 0, 1, 1, True, "zeros"), (5, 4, 7, 7)),
        (DeconvLinear(4, 3), (30, 4)),
        (FastDeconv(4, 3, 3), (5, 4, 7, 7)),
    ],
)
def test_the_input_has_the_name_that_it_has_in_torch(made, shape):
    x = image(*shape, dtype=torch.float32)
    made(input=x)
    assert torch.equal(made.eval()(input=x), made(x))


@pytest.mark.parametrize("mode", ["reflect", "circular", None])
def test_other_paddings_are_refused(mode):
    with pytest.raises(ValueError, match=f'Deconv2d: padding_mode must be "zeros", .*; got {mode!r}; pad the input'):
        Deconv2d(4, 3, 3, padding_mode=mode)
