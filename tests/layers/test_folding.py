import subprocess
import sys

import pytest
import torch
from torch import nn

from ndbench.layers import ChannelDeconv1d, ChannelDeconv2d, ChannelDeconv3d, Deconv2d, DeconvLinear, convert, fold
from ndbench.layers.published import ChannelDeconv, Delinear, FastDeconv
from tests.layers.networks import NETWORKS, images, trained


def seen(layer, *shape, batches=3):
    """The layer, and inputs, after some training on inputs that are neither centered nor white."""
    generator = torch.Generator().manual_seed(len(shape))
    torch.manual_seed(0)
    layer = layer.double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, mean=0.5)
    for _ in range(batches):
        x = 2 + torch.randn(*shape, generator=generator, dtype=torch.float64).cumsum(1)
        layer(x)
    return layer.eval(), x


def foreign(network):
    return [type(module) for module in network.modules() if type(module).__module__.startswith("ndbench")]


CONVOLUTIONS = {
    "plain": Deconv2d(4, 6, 3),
    "strided": Deconv2d(4, 6, (3, 2), stride=2, padding=1, dilation=2),
    "same": Deconv2d(4, 6, 3, padding="same"),
    "without bias": Deconv2d(4, 6, 3, bias=False),
    "groups": Deconv2d(4, 6, 3, groups=2),
    "depthwise": Deconv2d(4, 4, 3, groups=4),
    "blocks": Deconv2d(4, 6, 3, block=2),
    "interleaved": Deconv2d(4, 6, 3, block=2, grouping="interleaved"),
    "separate": Deconv2d(4, 6, 3, block=2, pooled=False),
    "covariance": Deconv2d(4, 6, 3, running="covariance"),
    "published": FastDeconv(4, 6, 3, block=2),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution(name):
    layer, x = seen(CONVOLUTIONS[name], 5, 4, 9, 9)
    plain = fold(layer)
    assert type(plain) is nn.Conv2d
    torch.testing.assert_close(plain(x), layer(x), rtol=1e-12, atol=1e-12)
    # that the whitening is in it
    assert (plain.weight - layer.weight).abs().max() > 0.1
    assert plain.bias is not None


@pytest.mark.parametrize("layer", [DeconvLinear(6, 3), DeconvLinear(6, 3, bias=False, block=2), Delinear(6, 3)])
def test_a_linear_layer(layer):
    layer, x = seen(layer, 20, 6)
    plain = fold(layer)
    assert type(plain) is nn.Linear
    torch.testing.assert_close(plain(x), layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_channel_layers(axes, grouping, pooled, affine):
    make = {1: ChannelDeconv1d, 2: ChannelDeconv2d, 3: ChannelDeconv3d}[axes]
    layer, x = seen(make(6, block=3, grouping=grouping, pooled=pooled, affine=affine), 4, 6, *[5] * axes)
    plain = fold(layer)
    assert type(plain) is {1: nn.Conv1d, 2: nn.Conv2d, 3: nn.Conv3d}[axes]
    assert plain.groups == (2 if grouping == "channel" else 1)
    torch.testing.assert_close(plain(x), layer(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_there_and_back(name):
    network = trained(NETWORKS[name]).double()
    converted = convert(network).model
    torch.testing.assert_close(fold(converted)(images().double()), network(images().double()), rtol=1e-12, atol=1e-12)
    converted.train()
    for seed in range(3):
        converted(images(seed=seed).double())
    plain = fold(converted.eval())
    x = images(seed=9).double()
    torch.testing.assert_close(plain(x), converted(x), rtol=1e-11, atol=1e-11)
    assert foreign(plain) == []
    assert foreign(converted) != []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_types_are_kept_and_folding_rounds_once(dtype):
    layer = Deconv2d(4, 6, 3, dtype=dtype)
    layer(torch.randn(5, 4, 9, 9, generator=torch.Generator().manual_seed(0)).to(dtype))
    plain = fold(layer.eval())
    assert plain.weight.dtype == dtype
    _, D = layer.averages()
    exact = (layer.weight.double().flatten(1) @ D.double()).reshape(layer.weight.shape)
    # D is symmetric up to rounding; products and sums of 36 numbers in float32, then one rounding
    u = torch.finfo(dtype).eps / 2
    assert ((plain.weight.double() - exact).abs().max() / exact.abs().max()) < u + 40 * 2**-24


def test_stored_and_loaded_without_this_package(tmp_path):
    network = convert(trained(NETWORKS["resnext"])).model.train()
    network(images())
    plain = fold(nn.Sequential(network.eval().layer1[0].conv1, nn.ReLU(), ChannelDeconv2d(8).eval()))
    x = torch.randn(2, 8, 6, 6, generator=torch.Generator().manual_seed(0))
    torch.save((plain, plain.state_dict(), x, plain(x).detach()), tmp_path / "network.pt")
    program = (
        "import sys, torch\n"
        "sys.modules['ndbench'] = None\n"  # importing it fails
        "network, state, x, y = torch.load('network.pt', weights_only=False)\n"
        "network.load_state_dict(state)\n"
        "print(float((network(x) - y).abs().max()))\n"
    )
    asked = [sys.executable, "-c", program]
    found = subprocess.run(asked, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=120)
    assert float(found.stdout) < 1e-6


def test_channel_layers_of_16_bits():
    x = torch.randn(4, 6, 5, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    layer = ChannelDeconv2d(6, block=3, affine=True, dtype=torch.bfloat16)
    layer(x)
    plain = fold(layer.eval())
    assert plain.weight.dtype == torch.bfloat16
    torch.testing.assert_close(plain(x), layer(x), rtol=0.02, atol=0.02)
    assert fold(ChannelDeconv2d(6, dtype=torch.bfloat16).eval()).weight.dtype == torch.float32


def test_a_copy_unless_in_place():
    network = nn.Sequential(Deconv2d(3, 4, 3)).eval()
    assert fold(network) is not network
    assert type(network[0]) is Deconv2d
    assert fold(network, inplace=True) is network
    assert type(network[0]) is nn.Conv2d


@pytest.mark.parametrize("inplace", [True, False])
def test_a_shared_layer_stays_shared(inplace):
    layer = Deconv2d(4, 4, 1).eval()
    plain = fold(nn.Sequential(layer, nn.ReLU(), layer), inplace=inplace)
    assert plain[0] is plain[2]
    assert type(plain[0]) is nn.Conv2d


class Uncopyable:
    def __deepcopy__(self, memo):
        raise TypeError("as process groups are")


def test_layers_over_many_processes_fold():
    layer = Deconv2d(4, 4, 1, sync=True).eval()
    layer.process_group = Uncopyable()
    assert type(fold(nn.Sequential(layer))[0]) is nn.Conv2d


def test_no_random_numbers_are_taken():
    torch.manual_seed(3)
    network = nn.Sequential(Deconv2d(3, 4, 3), ChannelDeconv2d(4), nn.Flatten(), DeconvLinear(4, 2)).eval()
    state = torch.get_rng_state()
    fold(network)
    assert torch.equal(torch.get_rng_state(), state)


def test_frozen_parameters_stay_frozen():
    layer = Deconv2d(3, 4, 3).requires_grad_(False)
    assert not fold(layer.eval()).weight.requires_grad
    assert fold(Deconv2d(3, 4, 3).eval()).weight.requires_grad


class Own(Deconv2d):
    pass


def hooked():
    layer = Deconv2d(1, 1, 1)
    layer.register_forward_pre_hook(lambda *_: None)
    return layer


def wrapped():
    layer = Deconv2d(1, 1, 1)
    layer.forward = layer.forward
    return layer


@pytest.mark.parametrize(
    ("model", "error", "message"),
    [
        ("network", TypeError, "fold: model must be a torch.nn.Module; got str"),
        (nn.Sequential(nn.Conv2d(1, 1, 1)), ValueError, "fold: there is no layer of ndbench in this Sequential"),
        (nn.Sequential(Deconv2d(1, 1, 1)), ValueError, "fold: 0, a Deconv2d, is in training"),
        (Deconv2d(1, 1, 1), ValueError, "fold: the model, a Deconv2d, is in training"),
        (DeconvLinear(1, 1, track_running_stats=False).eval(), ValueError, "has no running averages"),
        (ChannelDeconv2d(1, track_running_stats=False).eval(), ValueError, "has no running averages"),
        (nn.Sequential(ChannelDeconv(4)).eval(), ValueError, "does not know how many channels it has"),
        (Own(1, 1, 1).eval(), ValueError, "fold: the model, a Own, is of a class whose forward is not known"),
        (hooked().eval(), ValueError, "has hooks, which would be lost; remove them first, those of pruning or normali"),
        (
            nn.Sequential(nn.utils.parametrizations.weight_norm(Deconv2d(1, 1, 1))).eval(),
            ValueError,
            "fold: 0, a ParametrizedDeconv2d, has a parametrized weight; call "
            'torch.nn.utils.parametrize.remove_parametrizations(layer, "weight") first',
        ),
        (wrapped().eval(), ValueError, "has a forward of its own, which would be lost; restore the plain layer first"),
    ],
)
def test_bad_input(model, error, message):
    with pytest.raises(error) as found:
        fold(model)
    assert message in str(found.value)
