import pytest

from ndbench.cost.geometry import Convolution, Layer, Whitening
from ndbench.covariance import Patches
from ndbench.layers import Deconv2d


def test_a_layer_takes_the_patches_that_deconv2d_takes():
    whitening = Whitening(block=8, sampling=2)
    layer = Layer(Convolution.of((2, 24, 20, 21), 6, (3, 5), stride=(1, 2), padding=1, dilation=2, groups=2), whitening)
    module = Deconv2d(24, 6, (3, 5), (1, 2), 1, 2, 2, block=8, sampling_stride=2)
    assert layer.patches == module.patches
    assert layer.block == module.block == 6
    assert (layer.matrices, layer.order) == module.running_mean.shape


def test_pooled_layers_have_one_covariance():
    layer = Layer(Convolution.of((2, 24, 20, 21), 6, 3), Whitening(block=8))
    assert (layer.matrices, layer.order) == (1, 72)
    assert layer.patches == Patches.of(3, stride=3, block=8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"shape": (1, 3, 4)}, "the input must be N x C x H x W"),
        ({"outputs": 0}, "outputs and groups at least 1"),
        ({"groups": 2}, "2 groups must divide the 3 channels and the 4 outputs"),
        ({"kernel_size": 9}, "must fit into the padded image"),
        ({"kernel_size": 0}, "kernel must be an integer or a pair of integers, at least 1; got 0"),
        ({"padding": -1}, "padding must be"),
        ({"shape": (0, 3, 8, 8)}, "x must not be empty"),
    ],
)
def test_what_is_no_convolution_is_refused(arguments, message):
    right = {"shape": (1, 3, 8, 8), "outputs": 4, "kernel_size": 3}
    with pytest.raises(ValueError, match=message):
        Convolution.of(**{**right, **arguments})


@pytest.mark.parametrize(
    ("arguments", "what", "numbers"),
    [
        (((2**20, 2**10, 2**5, 2**5), 4, 1), "input", 2**40),
        (((2**20, 1, 2**5, 2**5), 2**10, 1), "output", 2**40),
        (((1, 2**14, 2**4, 2**4), 2**18, 2**4), "weight", 2**40),
        (((2**23, 1, 2**6, 2**6 + 2**5 - 1), 4, (1, 2**5)), "patches", 2**40),
        (((1, 2**14, 2**9, 2**9), 4, 2**9), "covariance", 2**64),
    ],
)
def test_more_numbers_than_any_device_holds_are_refused(arguments, what, numbers):
    with pytest.raises(ValueError, match=rf"the {what} must have fewer than 2\^40 numbers; got {numbers}$"):
        Layer(Convolution.of(*arguments), Whitening(block=2**14, sampling=1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"block": 0}, "block must be at least 1"),
        ({"sampling": 0}, "sampling_stride must be at least 1"),
        ({"method": "qr"}, "method must be one of newton_schulz"),
        ({"steps": 0}, "steps must be at least 1"),
        ({"grouping": "none"}, "grouping must be one of channel, interleaved"),
    ],
)
def test_what_is_no_whitening_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Whitening(**arguments)
