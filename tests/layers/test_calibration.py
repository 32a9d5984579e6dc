import pytest
import torch
from torch import nn

from ndbench.layers import convert
from tests.layers.networks import NETWORKS, VGG, images, trained


@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
@pytest.mark.parametrize("name", NETWORKS)
def test_evaluation_and_training_on_the_same_batch_are_what_evaluation_was(name, running):
    network = trained(NETWORKS[name]).double()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    x = images(32).double()
    converted = convert(network, data=[x], running=running, block=8).model
    torch.testing.assert_close(converted(x), network(x), rtol=1e-9, atol=1e-9)
    other = images(seed=5).double()
    torch.testing.assert_close(converted(other), network(other), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(converted.train()(x), network(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "settings", [{"grouping": "interleaved"}, {"pooled": False}, {"method": "spectral"}, {"method": "denman_beavers"}]
)
def test_blocks_of_all_kinds(settings):
    network = trained(VGG).double()
    x = images(32).double()
    converted = convert(network, data=[x], block=2, linear_block=4, **settings).model
    assert (converted.features[4].weight - convert(network, block=2).model.features[4].weight).abs().max() > 0.1
    torch.testing.assert_close(converted(x), network(x), rtol=1e-8, atol=1e-8)


def test_in_float32():
    network = trained(VGG)
    torch.testing.assert_close(
        convert(network, data=[images()]).model(images()), network(images()), rtol=1e-4, atol=1e-4
    )


def test_all_batches_count_alike_and_once():
    network = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False)).double()
    batches = [images(seed=seed).double() for seed in range(3)]
    layer = convert(network, data=iter(batches), sampling_stride=1).model[0]
    means = [nn.functional.unfold(batch, 3).mean((0, 2)) for batch in batches]
    torch.testing.assert_close(layer.running_mean, sum(means) / 3)
    assert layer.num_batches_tracked == 3
    assert layer.options.momentum == 0.1
    assert layer.bias is not None


class Named(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.linear = nn.Conv2d(3, 3, 1), nn.Linear(8, 8)

    def forward(self, x):
        return self.linear(input=self.conv(input=x))


def test_inputs_by_name_are_seen():
    network = Named().double().eval()
    converted = convert(network, data=[images().double()]).model
    assert (converted.conv.num_batches_tracked, converted.linear.num_batches_tracked) == (1, 1)
    torch.testing.assert_close(converted(images().double()), network(images().double()))


class Aside(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.aside = nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.conv(x) + self.aside(x) if self.training else self.conv(x)


def test_what_evaluation_does_not_call_has_no_averages():
    network = Aside().train()
    converted = convert(network, data=[images()]).model
    assert (converted.conv.num_batches_tracked, converted.aside.num_batches_tracked) == (1, 0)
    assert torch.equal(converted.aside.weight, network.aside.weight)
    assert converted.training
    assert converted.conv.training
    assert not converted.conv._forward_pre_hooks


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"data": []}, "convert: data must hold at least one batch"),
        ({"data": [torch.full((2, 3, 4, 4), torch.nan)]}, "the input holds NaN"),
        ({"data": [images()], "track_running_stats": False}, "with track_running_stats=False there are none"),
    ],
)
def test_bad_data(arguments, message):
    with pytest.raises(ValueError, match=message):
        convert(nn.Sequential(nn.Conv2d(3, 3, 1)), **arguments)


def test_an_image_without_a_dimension_of_samples_is_a_batch_of_one():
    network, x = nn.Sequential(nn.Conv2d(3, 4, 3)), images()
    alone, together = (convert(network, data=data).model[0] for data in ([x[0]], [x[:1]]))
    torch.testing.assert_close(alone.running_deconv, together.running_deconv, rtol=0, atol=0)
