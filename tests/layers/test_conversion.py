import copy
import re

import pytest
import torch
from torch import nn

from ndbench.layers import Deconv2d, DeconvLinear, convert, fold
from ndbench.operations.layer import deconvolved_conv2d, deconvolved_linear
from tests.layers.networks import NETWORKS, VGG, PreResNet, ResNet, images, randomize, reasons, trained

# (convolutions and linear layers, batch normalizations folded, replaced by scale and offset)
COUNTS = {
    "vgg": (4, 3, 0),
    "resnet": (7, 6, 0),
    "preresnet": (7, 2, 3),
    "densenet": (7, 2, 3),
    "mobilenet_v2": (8, 7, 0),
    "resnext": (7, 6, 0),
}


def norms(network):
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]


@pytest.mark.parametrize("name", NETWORKS)
def test_evaluation_is_what_it_was(name):
    network = trained(NETWORKS[name]).double()
    conversion = convert(network)
    x = images().double()
    torch.testing.assert_close(conversion.model(x), network(x), rtol=1e-12, atol=1e-12)
    assert conversion.exact
    assert not conversion.left


@pytest.mark.parametrize("name", NETWORKS)
def test_all_layers_are_replaced_and_all_batch_normalizations_gone(name):
    conversion = convert(trained(NETWORKS[name]))
    now = [(change.was, change.now) for change in conversion.replaced]
    layers = sum(new in {"Deconv2d", "DeconvLinear"} for _, new in now)
    assert (layers, sum(new == "Identity" for _, new in now), sum(new == "Conv2d" for _, new in now)) == COUNTS[name]
    assert norms(conversion.model) == []
    assert sum(isinstance(module, (Deconv2d, DeconvLinear)) for module in conversion.model.modules()) == layers


@pytest.mark.parametrize("name", NETWORKS)
def test_a_converted_network_trains(name):
    torch.manual_seed(0)
    network = convert(NETWORKS[name]()).model
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
    x = images(32)
    labels = (x.mean((1, 2, 3)) > 0.5).long()
    losses = []
    for _ in range(40):
        loss = nn.functional.cross_entropy(network(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.3 * losses[0]


@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
@pytest.mark.parametrize("name", ["vgg", "resnext"])
def test_evaluation_is_what_it_was_whatever_is_averaged(name, running):
    network = trained(NETWORKS[name]).double()
    conversion = convert(network, running=running, block=4)
    x = images().double()
    torch.testing.assert_close(conversion.model(x), network(x), rtol=1e-10, atol=1e-10)


def test_training_whitens_and_multiplies_by_the_folded_weight():
    convolution, norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
    network = nn.Sequential(convolution, norm).double()
    randomize(network)
    network(images().double())
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = convolution.weight * scale[:, None, None, None]
    bias = (convolution.bias - norm.running_mean) * scale + norm.bias
    x = images(seed=2).double()
    found = convert(network, sampling_stride=2, eps=1e-3, steps=7).model(x)
    expected = deconvolved_conv2d(x, weight, bias, padding=1, block=3, sampling_stride=2, eps=1e-3, steps=7)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_linear_layers_have_a_block_of_their_own():
    network = nn.Sequential(nn.Linear(6, 4))
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    layer = convert(network, block=2, linear_block=3).model
    assert layer[0].block == 3
    torch.testing.assert_close(layer(x), deconvolved_linear(x, network[0].weight, network[0].bias, block=3))


def test_parameters_and_settings_are_kept():
    convolution = nn.Conv2d(4, 8, (3, 5), stride=2, padding=(0, 2), dilation=(2, 1), groups=2, bias=False)
    convolution.weight.requires_grad_(False)
    layer = convert(nn.Sequential(convolution), momentum=None, method="denman_beavers").model[0]
    assert torch.equal(layer.weight, convolution.weight)
    assert not layer.weight.requires_grad
    assert layer.bias is None
    kept = "kernel_size", "stride", "padding", "dilation", "groups", "in_channels", "out_channels", "padding_mode"
    assert [getattr(layer, name) for name in kept] == [getattr(convolution, name) for name in kept]
    assert (layer.options.momentum, layer.options.method) == (None, "denman_beavers")


@pytest.mark.parametrize("data", [None, [images()]])
@pytest.mark.parametrize("name", NETWORKS)
def test_frozen_networks_stay_frozen(name, data):
    network = trained(NETWORKS[name]).requires_grad_(False)
    assert not any(parameter.requires_grad for parameter in convert(network, data=data).model.parameters())


def test_new_parameters_learn_if_those_that_they_stand_for_do():
    network = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    for module, learned in ((network[0], True), (network[1], False), (network[3], True)):
        module.requires_grad_(learned)
    model = convert(network).model
    assert {name: p.requires_grad for name, p in model.named_parameters()} == {
        "0.weight": True,
        "0.bias": False,
        "3.weight": True,
        "3.bias": True,
    }
    plain = nn.Sequential(nn.Conv2d(3, 4, 1, bias=False).requires_grad_(False), nn.BatchNorm2d(4, affine=False))
    assert not convert(plain).model[0].bias.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_modes_are_kept(training):
    network = VGG().train(training)
    network.features[1].train(not training)
    converted = convert(network).model
    assert {name for name, module in converted.named_modules() if module.training != training} == {"features.1"}


def test_neither_the_model_nor_the_random_numbers_are_changed():
    network = trained(ResNet)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    classes = [type(module) for module in network.modules()]
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    convert(network)
    assert torch.equal(torch.rand(3), expected)
    assert [type(module) for module in network.modules()] == classes
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_in_place_the_model_and_its_parameters_are_the_same_objects():
    network = trained(ResNet)
    before, expected = dict(network.named_parameters()), network(images())
    conversion = convert(network, inplace=True)
    assert conversion.model is network
    assert network.layer1[0].conv1.weight is before["layer1.0.conv1.weight"]
    torch.testing.assert_close(network(images()), expected)


def test_types_are_kept():
    for dtype in (torch.bfloat16, torch.float64):
        converted = convert(trained(PreResNet).to(dtype)).model
        assert {parameter.dtype for parameter in converted.parameters()} == {dtype}


def test_a_model_without_data_is_converted():
    with torch.device("meta"):
        network = ResNet()
    converted = convert(network).model
    assert all(tensor.is_meta for tensor in converted.state_dict().values())
    assert isinstance(converted.layer1[0].conv1, Deconv2d)


def test_removed_as_published():
    network = trained(PreResNet)
    conversion = convert(network, unfolded="identity")
    assert not conversion.exact
    assert str(conversion).endswith("evaluation before training: not known to be as before")
    assert [type(m) for m in (conversion.model.bn, conversion.model.blocks[0].bn1)] == [nn.Identity, nn.Identity]
    assert {c.name: c.reason for c in conversion.replaced}["blocks.1.bn1"] == "removed; its input is add"


def test_kept_if_asked_to():
    network = trained(PreResNet)
    conversion = convert(network, unfolded="keep")
    assert reasons(conversion) == {
        "blocks.0.bn1": "its input is conv (used elsewhere too)",
        "blocks.1.bn1": "its input is add",
        "bn": "its input is add_1",
    }
    torch.testing.assert_close(conversion.model(images()), network(images()))


def test_a_weight_of_zero_erases_no_filter():
    network = trained(ResNet)
    with torch.no_grad():
        network.layer1[0].bn2.weight.zero_()
    conversion = convert(network)
    told = {change.name: change for change in conversion.replaced}["layer1.0.bn2"]
    assert (told.now, told.reason) == (
        "Conv2d",
        "its scale and offset; a weight of zero would erase a filter of layer1.0.conv2",
    )
    assert torch.equal(conversion.model.layer1[0].conv2.weight, network.layer1[0].conv2.weight)
    torch.testing.assert_close(conversion.model(images()), network(images()))


class Special(nn.Conv2d):
    pass


class Untraceable(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x):
        return self.conv(x) if x.sum() > 0 else x


def awkward():
    """One of each of what is left."""
    shared = nn.Conv2d(4, 4, 1)
    hooked, tied = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)
    hooked.register_forward_hook(lambda *_: None)
    twin = nn.Conv2d(4, 4, 1)
    twin.weight = tied.weight
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        Special(4, 4, 1),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        nn.ConvTranspose2d(4, 4, 1),
        nn.BatchNorm2d(4),
        shared,
        shared,
        hooked,
        tied,
        twin,
        nn.Conv2d(4, 4, 2, padding="same"),
        Untraceable(),
        nn.utils.parametrizations.weight_norm(nn.Conv2d(4, 4, 1)),
        nn.BatchNorm2d(4, track_running_stats=False),
        nn.SyncBatchNorm(4),
        nn.ReLU(),
    )


def test_what_is_left_is_told_with_its_reason():
    network = awkward().eval()
    before = copy.deepcopy(network)
    conversion = convert(network)
    found = reasons(conversion)
    assert found.pop("12.conv").startswith("called, if at all, by 12, which cannot be traced: symbolically traced")
    assert found.pop("15") == "neither torch.nn.BatchNorm1d nor torch.nn.BatchNorm2d itself"
    neither = "neither torch.nn.Conv2d nor torch.nn.Linear itself"
    assert found == {
        "1": neither,
        "2": "follows 1, which is left",
        "3": "padded by 'reflect', not by zeros",
        "4": neither,
        "5": "follows 4, which is left",
        "6": "shared: 7 too",
        "8": "has hooks, which would be lost",
        "9": "shares a parameter with 10.weight",
        "10": "shares a parameter with 9.weight",
        "11": 'Deconv2d: padding="same" needs odd kernels or even dilations, got kernel (2, 2)',
        "13": neither,
        "14": "follows 13, which is left",
    }
    assert [change.name for change in conversion.replaced] == ["0"]
    left = set(range(len(network))) - {0}
    assert all(type(conversion.model[i]) is type(before[i]) for i in left)


def test_the_report_lists_all():
    conversion = convert(nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv1d(4, 4, 1)))
    assert str(conversion).splitlines() == [
        "replaced: 1",
        "  0  Conv2d -> Deconv2d  its weights",
        "left: 1",
        "  1  Conv1d  neither torch.nn.Conv2d nor torch.nn.Linear itself",
        "evaluation before training: as before",
    ]


def test_modules_that_are_to_stay():
    conversion = convert(trained(ResNet), leave=["conv1", "layer1.1"])
    assert reasons(conversion) == {
        "conv1": "asked for",
        "bn1": "follows conv1, which is left",
        **{f"layer1.1.{name}": "asked for" for name in ("conv1", "bn1", "conv2", "bn2", "shortcut.0", "shortcut.1")},
    }


def test_deconvolution_layers_stay_what_they_are():
    network = nn.Sequential(Deconv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)).eval()
    conversion = convert(network)
    assert [change.name for change in conversion.replaced] == ["1", "2"]
    assert [change.now for change in conversion.replaced] == ["Conv2d", "Deconv2d"]


def test_without_running_averages_evaluation_is_another():
    assert not convert(trained(VGG), track_running_stats=False).exact


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"model": "resnet"}, TypeError, "convert: model must be a torch.nn.Module; got str"),
        ({"model": nn.ReLU()}, ValueError, "convert: there is nothing to convert in this ReLU:\nit holds no"),
        ({"model": nn.Conv2d(1, 1, 1)}, ValueError, "it is the model itself, put it into a torch.nn.Sequential"),
        (
            {"model": nn.Sequential(Special(1, 1, 1))},
            ValueError,
            "nothing to convert in this Sequential:\n  0  Special",
        ),
        ({"unfolded": "drop"}, ValueError, "unfolded must be one of affine, identity, keep; got 'drop'"),
        ({"leave": ["conv9"]}, ValueError, "leave must name modules of the model; it has no conv9"),
        ({"leave": "0"}, TypeError, "leave must be a collection of names; got the string '0'"),
        ({"block": 0}, ValueError, "block must be at least 1"),
        ({"eps": -1.0}, ValueError, "eps must be finite and not negative"),
        ({"sampling_stride": 0}, ValueError, "sampling_stride must be at least 1"),
        ({"wrong": 1}, TypeError, "there is no setting wrong"),
    ],
)
def test_bad_input(arguments, error, message):
    with pytest.raises(error) as found:
        convert(**{"model": nn.Sequential(nn.Conv2d(1, 1, 1)), **arguments})
    assert message in str(found.value)


@pytest.mark.parametrize(
    "name",
    ["vgg11_bn", "resnet18", "densenet121", "mobilenet_v2", "resnext50_32x4d", "efficientnet_b0", "inception_v3"],
)
def test_the_models_of_torchvision(name):
    models = pytest.importorskip("torchvision.models")
    torch.manual_seed(0)
    network = (
        models.get_model(name, weights=None, init_weights=False) if name == "inception_v3" else models.get_model(name)
    )
    randomize(network)
    network = network.eval()
    conversion = convert(network)
    x = torch.randn(2, 3, 299 if name == "inception_v3" else 64, 299 if name == "inception_v3" else 64)
    with torch.no_grad():
        expected = network(x)
        torch.testing.assert_close(conversion.model(x), expected, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(fold(conversion.model)(x), expected, rtol=1e-4, atol=1e-4)
    assert conversion.left == ()
    assert norms(conversion.model) == []


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(nn.LazyConv2d(4, 3), nn.BatchNorm2d(4)), "0 (LazyConv2d)"),
        (nn.Sequential(nn.Conv2d(3, 4, 3), nn.LazyBatchNorm2d(affine=False)), "1 (LazyBatchNorm2d)"),
        (nn.LazyLinear(4), "the model (LazyLinear)"),
    ],
)
@pytest.mark.parametrize("inplace", [False, True])
def test_what_has_no_shape_yet_is_refused(network, message, inplace):
    message = f"convert: {message} has no shape yet; call the model with a batch first"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        convert(network, inplace=inplace)


def test_what_was_lazy_and_has_its_shape_is_converted():
    network = nn.Sequential(nn.LazyConv2d(4, 3), nn.LazyBatchNorm2d())
    network(torch.ones(2, 3, 5, 5))
    assert len(convert(network).replaced) == 2
