"""Batches that cannot be whitened, or hardly: what comes out, and that the averages are as they were."""

import pytest
import torch

from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear
from ndbench.layers.published import Delinear, FastDeconv
from tests.layers.makers import batches, compiles, every_layer

BAD = {"NaN": torch.nan, "infinity": torch.inf, "overflow": 1e30}


@every_layer
@pytest.mark.parametrize("value", BAD.values(), ids=BAD)
def test_a_bad_batch_changes_nothing_and_says_so(make, shape, value):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    bad = x.clone()
    bad[0, :, ...] = value
    with pytest.raises(ValueError, match="NaN, infinities, or numbers whose squares overflow float32; the running"):
        made(bad)
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())


@compiles
@every_layer
def test_a_bad_batch_in_a_graph_is_reported_later(make, shape):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    torch.compiler.reset()
    assert torch.compile(made, backend="eager", fullgraph=True)(x * torch.nan).isnan().all()
    assert made.faulty
    for ask in (made.state_dict, made.eval):
        made.faulty.fill_(True)
        with pytest.raises(ValueError, match="a batch held NaN"):
            ask()
    assert all(torch.equal(tensor, before[name]) for name, tensor in made.state_dict().items())


UNCOUNTED = {
    "strided": ({"stride": 2, "padding": 1}, 8, [2, 3, 4]),
    "behind the last patch": ({}, 10, [9]),
    "dilated": ({"dilation": 2}, 12, [1, 9, 11]),
    "padded": ({"padding": 1}, 8, []),
    "all patches": ({"stride": 2, "padding": 1, "sampling_stride": 1}, 8, []),
}


@pytest.mark.parametrize(("options", "size", "unseen"), UNCOUNTED.values(), ids=UNCOUNTED)
def test_nan_at_pixels_that_no_counted_patch_holds(options, size, unseen):
    made, found = Deconv2d(3, 4, 3, **options), []
    for pixel in range(size):
        (x,) = batches((4, 3, size, size), 1, torch.float32)
        x[0, :, pixel, pixel] = torch.nan
        count = int(made.num_batches_tracked)
        try:
            y = made(x)
        except ValueError:
            assert made.num_batches_tracked == count
            continue
        assert y[1:].isfinite().all()
        assert y[0].isnan().any()
        found.append(pixel)
    assert found == unseen
    assert made.running_deconv.isfinite().all()


@every_layer
def test_float16_does_not_overflow(make, shape):
    (x,) = batches(shape, 1, torch.float16)
    made = make(dtype=torch.float16)
    assert made(x * 1000).isfinite().all()  # squares of 1000 are beyond float16
    assert made.running_deconv.isfinite().all()


@every_layer
def test_constant_inputs_and_zero_channels(make, shape):
    made = make(dtype=torch.float64)
    y = made(torch.full(shape, 3.0, dtype=torch.float64))
    assert y.isfinite().all()
    (x,) = batches(shape, 1)
    x[:, 1] = 0
    assert made(x).isfinite().all()
    assert made.eval()(x).isfinite().all()


def test_constant_inputs_without_eps_have_no_root():
    made = ChannelDeconv2d(4, eps=0.0)
    with pytest.raises(ValueError, match="has no inverse square root by method 'newton_schulz'; choose a larger eps"):
        made(torch.full((2, 4, 3, 3), 3.0))
    assert made.num_batches_tracked == 0


@pytest.mark.parametrize("method", ["spectral", "denman_beavers"])
def test_singular_covariances_of_methods_that_invert(method):
    made = ChannelDeconv2d(4, eps=0.0, method=method)
    with pytest.raises(ValueError, match="choose a larger eps"):
        made(torch.zeros(2, 4, 3, 3))
    assert made.num_batches_tracked == 0


ONE_PATCH = {
    "one patch": (lambda **o: Deconv2d(4, 3, 3, **o), (1, 4, 3, 3), "sampling_stride=1"),
    "one that is counted": (lambda **o: Deconv2d(4, 3, 3, **o), (1, 4, 5, 5), "sampling_stride=1"),
    "an image alone": (lambda **o: Deconv2d(4, 3, 3, **o), (4, 4, 4), "sampling_stride=1"),
    "separate blocks": (lambda **o: Deconv2d(4, 4, 1, groups=2, **o), (1, 4, 2, 2), "sampling_stride=1"),
    "row": (lambda **o: DeconvLinear(4, 2, **o), (1, 4), "drop_last=True"),
    "channels": (lambda **o: ChannelDeconv2d(4, **o), (1, 4, 3, 3), "sampling_stride=1"),
}


@pytest.mark.parametrize(("make", "shape", "remedy"), ONE_PATCH.values(), ids=ONE_PATCH)
def test_of_one_patch_there_is_no_covariance(make, shape, remedy):
    made, x = make(), torch.randn(shape)
    message = f"{type(made).__name__}: .* a single counted .* has none; .*{remedy}.*; the running averages are as"
    for layer in (made, make(track_running_stats=False).eval()):
        with pytest.raises(ValueError, match=message):
            layer(x)
    assert made.num_batches_tracked == 0
    assert made.eval()(x).isfinite().all()


def test_one_sample_of_several_patches_or_blocks():
    x = batches((1, 4, 6, 6), 1)[0]
    assert Deconv2d(4, 3, 3, dtype=torch.float64)(x).isfinite().all()
    # two blocks of one patch share their statistics
    made = Deconv2d(4, 3, 3, block=2, method="spectral", bias=False, dtype=torch.float64)
    assert made(x[..., :3, :3]).abs().max() > 0
    assert DeconvLinear(4, 2, block=2)(torch.randn(1, 4)).isfinite().all()


def test_the_published_layers_take_one_patch_as_published():
    made = FastDeconv(4, 3, 3).double()
    torch.testing.assert_close(made(batches((1, 4, 3, 3), 1)[0]), made.bias.detach().view(1, 3, 1, 1))
    assert Delinear(4, 3)(torch.ones(1, 4)).isfinite().all()


def test_fewer_rows_than_the_order_of_a_block():
    made = Deconv2d(16, 3, 3, padding=1, dtype=torch.float64)
    x = batches((1, 16, 4, 4), 1)[0]
    assert made(x).isfinite().all()
    assert made.running_deconv.shape == (144, 144)
