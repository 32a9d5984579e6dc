"""Copies, state dicts, types and devices of layers."""

import copy
import io
import pickle

import pytest
import torch

from ndbench.layers import Deconv2d
from tests.layers.makers import batches, every_layer


@every_layer
def test_state_dict_copy_and_pickle(make, shape):
    (x,) = batches(shape, 1)
    made = make(dtype=torch.float64)
    made(x)
    made.eval()
    y = made(x)
    other = make(dtype=torch.float64)
    other.load_state_dict(made.state_dict())
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    copies = (other.eval(), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), torch.load(file, weights_only=False))
    for same in copies:
        assert torch.equal(same(x), y)
    for same in copies[1:]:
        with torch.no_grad():
            same.running_deconv.mul_(2)
        assert not torch.equal(same(x), y)
        assert torch.equal(made(x), y)


def test_meta_device():
    made = Deconv2d(4, 3, 3, device="meta").train()
    assert made.running_deconv.is_meta
    assert made.state_dict().keys() == Deconv2d(4, 3, 3).state_dict().keys()


@every_layer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_averages_stay_wide_when_a_layer_is_converted(make, shape, dtype):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    kept = {name: average.clone() for name, average in made.named_buffers()}
    made.to(dtype)
    assert all(parameter.dtype == dtype for parameter in made.parameters())
    for name, average in made.named_buffers():
        assert torch.equal(average, kept[name])
        assert average.dtype == kept[name].dtype
    assert make().double().to(dtype).running_mean.dtype == torch.float32
    assert made.double().running_mean.dtype == torch.float64


@every_layer
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_emptied_layers_are_not_faulty(make, shape, device):
    state = make().state_dict()
    for _ in range(10):
        ones = [torch.full((n,), True) for n in (1, 8, 64)]
        made = make(device=device)
        del ones  # whose memory the empty buffers get
        made.to_empty(device="cpu").load_state_dict(state)
        assert not made.faulty
        made.eval()


@every_layer
@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_reset_layers_are_as_new(make, shape, running, device):
    torch.manual_seed(0)
    new = make(running=running).state_dict()
    made = make(running=running, device=device)
    if device == "cpu":
        for x in batches(shape, 2, torch.float32):
            made(x)
    made.to_empty(device="cpu")
    torch.manual_seed(0)
    made.reset_parameters()
    assert not made.faulty
    for name, value in made.state_dict().items():
        assert torch.equal(value, new[name]), name


@every_layer
def test_a_state_dict_fills_a_layer_that_has_no_memory(make, shape):
    full, (x,) = make(), batches(shape, 1, torch.float32)
    full(x)
    with torch.device("meta"):
        empty = make()
    empty.load_state_dict(full.state_dict(), assign=True)
    assert not empty.faulty.is_meta
    torch.testing.assert_close(empty.to("cpu").eval()(x), full.eval()(x))


@every_layer
def test_averages_of_16_bits_are_widened_when_they_are_loaded(make, shape):
    narrow = {name: v.half() if v.is_floating_point() else v for name, v in make().state_dict().items()}
    layer = make()
    layer.load_state_dict(narrow, assign=True)
    assert layer.running_mean.dtype == getattr(layer, layer._second).dtype == torch.float32
