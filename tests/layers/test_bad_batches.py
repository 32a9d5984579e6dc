"""Batches that cannot be whitened, or hardly: what comes out, and that the averages are as they were."""

import pytest
import torch

from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear
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


def test_one_sample_and_one_patch():
    made = Deconv2d(4, 3, 3, dtype=torch.float64)
    x = batches((1, 4, 3, 3), 1)[0]
    torch.testing.assert_close(made(x), made.bias.detach().view(1, 3, 1, 1))  # the patch is its own mean
    assert DeconvLinear(4, 2)(torch.ones(1, 4)).isfinite().all()
    assert Deconv2d(4, 3, 1)(torch.randn(1, 4, 1, 1)).isfinite().all()


def test_fewer_rows_than_the_order_of_a_block():
    made = Deconv2d(16, 3, 3, padding=1, dtype=torch.float64)
    x = batches((1, 16, 4, 4), 1)[0]
    assert made(x).isfinite().all()
    assert made.running_deconv.shape == (144, 144)
