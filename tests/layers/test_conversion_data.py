"""What conversion takes for data, and that a failure leaves no model half converted."""

import re

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from ndbench.layers import convert
from tests.layers.networks import VGG, PreResNet, images, trained


def same(found, wanted):
    assert found.keys() == wanted.keys()
    assert all(torch.equal(found[name], value) for name, value in wanted.items())


@pytest.mark.parametrize("together", [tuple, list])
def test_of_pairs_the_first_is_the_input(together):
    network, x, labels = trained(VGG), images(), torch.zeros(16)
    wanted = convert(network, data=[x[:8], x[8:]]).model
    pairs = [together((x[:8], labels[:8])), together((x[8:], labels[8:]))]
    same(convert(network, data=pairs).model.state_dict(), wanted.state_dict())
    loader = DataLoader(TensorDataset(x, labels), batch_size=8)
    same(convert(network, data=loader).model.state_dict(), wanted.state_dict())


@pytest.mark.parametrize("data", [images(), {"x": images()}, "images", 3])
def test_data_that_are_no_batches(data):
    message = f"convert: data must be an iterable of batches, such as [x] or a DataLoader; got a {type(data).__name__}"
    with pytest.raises(TypeError, match=re.escape(message)):
        convert(trained(VGG), data=data)


def torn():
    """A loader that fails at the second batch."""
    yield images()
    raise OSError("no such file")


NAN = torch.full((4, 3, 8, 8), torch.nan)
FAILING = {
    "empty": (list, ValueError, "at least one batch"),
    "not finite": (lambda: [images(), NAN], ValueError, "holds NaN"),
    "other shape": (lambda: [images(), images()[:, :2]], ValueError, "must have 3 channels"),
    "torn": (torn, OSError, "no such file"),
}


@pytest.mark.parametrize(("data", "error", "message"), FAILING.values(), ids=FAILING)
@pytest.mark.parametrize("make", [VGG, PreResNet])
@pytest.mark.parametrize("bias", [True, False])
def test_a_model_is_as_it_was_if_its_data_fail(make, bias, data, error, message):
    network = trained(make)
    if not bias:
        network.apply(lambda module: isinstance(module, nn.Linear) and setattr(module, "bias", None))
    network.train()
    modules, parameters = dict(network.named_modules()), dict(network.named_parameters())
    values = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(error, match=message):
        convert(network, data=data(), inplace=True)
    assert dict(network.named_modules()) == modules
    assert {name: id(p) for name, p in network.named_parameters()} == {n: id(p) for n, p in parameters.items()}
    same(network.state_dict(), values)
    assert all(module.training for module in network.modules())


@pytest.mark.parametrize("freeze_after", [1, 2])
def test_freezing_counts_batches_of_training_only(freeze_after):
    network = nn.Sequential(nn.Conv2d(3, 4, 3))
    layer = convert(network, data=[images(), images(seed=2), images(seed=3)], freeze_after=freeze_after).model[0]
    assert layer.num_batches_tracked == 3
    for seed in range(5):
        assert layer.frozen == (seed >= freeze_after)
        layer(images(seed=seed + 4))
    assert layer.num_batches_tracked == 3 + freeze_after
    assert f"freeze_after={3 + freeze_after}" in repr(layer)


def test_data_of_more_dimensions_than_were_assumed():
    network = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5))
    message = (
        "convert: 1 was taken to normalize outputs (N, C) of 0, whose inputs have shape (2, 5, 5); name 1 in leave"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        convert(network, data=[torch.zeros(2, 5, 5)])
    assert convert(network, data=[torch.randn(9, 5)]).model[0].num_batches_tracked == 1
