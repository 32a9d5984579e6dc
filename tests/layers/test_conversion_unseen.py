"""What conversion leaves as it is, and what it does not promise: uses of modules that tracing does not see."""

import pytest
import torch
from torch import nn

from ndbench.layers import convert
from tests.layers.networks import images, randomize, reasons, trained


class Looking(nn.Module):
    def __init__(self):
        super().__init__()
        self.part = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))

    def forward(self, x):
        return self.part(x) if x.sum() > 0 else x


def test_what_was_traced_apart_is_told():
    network = trained(Looking)
    conversion = convert(network)
    assert [change.reason for change in conversion.replaced] == [
        "its weights, with part.1 folded in; traced apart from the model, which cannot be traced",
        "folded into part.0; traced apart from the model, which cannot be traced",
    ]
    torch.testing.assert_close(conversion.model(images()), network(images()))
    assert not conversion.exact  # that it calls the part once and as a whole is not known
    assert str(conversion).endswith("evaluation before training: not known to be as before")


def doubled(forward):
    return lambda x: 2 * forward(x)


def test_a_forward_of_its_own_is_not_lost():
    network = trained(
        lambda: nn.Sequential(*(nn.Conv2d(n, 3, 1) for n in (3, 3)), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1))
    )
    for name in (1, 2):
        network[name].forward = doubled(network[name].forward)
    conversion = convert(network)
    assert reasons(conversion) == dict.fromkeys("12", "has a forward of its own, which would be lost")
    torch.testing.assert_close(conversion.model(images()), network(images()))


@pytest.mark.parametrize("depth", [0, 1])
def test_what_a_replaced_forward_does_is_not_taken_for_known(depth):
    network = trained(lambda: nn.Sequential(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)), nn.Conv2d(3, 3, 1)))
    owner = network[0] if depth else network
    owner.forward = lambda x: x
    conversion = convert(network)
    # what the owner holds itself is left, blocks are traced apart
    assert conversion.exact == bool(depth)
    assert "its forward is not that of its class" in reasons(conversion)["0.0" if depth else "1"]


class Listed(nn.Module):
    """Calls its layers through a list that PyTorch does not know of."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.seen = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 1)
        self.all = [self.conv, self.norm]

    def forward(self, x):
        for module in self.all:
            x = module(x)
        return self.seen(x)


@pytest.mark.parametrize("inplace", [True, False])
def test_layers_that_a_list_holds_too_stay(inplace):
    network = trained(lambda: nn.Sequential(nn.Conv2d(3, 3, 1), Listed()))
    expected = network(images())
    conversion = convert(network, inplace=inplace)
    torch.testing.assert_close(conversion.model(images()), expected)
    assert [change.name for change in conversion.replaced] == ["0"]
    assert "module is not installed as a submodule" in reasons(conversion)["1.conv"]


class ListedBlocks(nn.Module):
    """As above, but what the list holds stays what it is."""

    def __init__(self):
        super().__init__()
        self.block = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
        self.all = [self.block]

    def forward(self, x):
        return self.all[0](x)


def test_layers_of_blocks_that_a_list_holds_too_are_replaced():
    network = trained(ListedBlocks)
    conversion = convert(network)
    assert conversion.exact
    assert [change.name for change in conversion.replaced] == ["block.0", "block.1"]
    torch.testing.assert_close(conversion.model(images()), network(images()))


def test_channels_that_are_no_outputs_are_not_folded():
    network = nn.Sequential(nn.Linear(8, 8), nn.BatchNorm1d(5)).double()
    randomize(network)
    x = torch.randn(2, 5, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    network(x)
    expected = network.eval()(x)
    conversion = convert(network, inplace=True)
    assert reasons(conversion) == {"1": "normalizes 5 channels, which are not the 8 outputs of 0"}
    torch.testing.assert_close(network(x), expected)


def test_what_is_assumed_of_a_linear_layer_is_told():
    conversion = convert(nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5)))
    assert conversion.replaced[1].reason == "folded into 0, whose output is taken to be (N, C)"


class Optional(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.bn = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4)

    def forward(self, x, normalize=True):
        y = self.conv(x)
        return self.bn(y) if normalize else y


def test_a_fold_by_the_optional_arguments_at_their_defaults_alone_is_not_promised():
    network = trained(Optional)
    conversion = convert(network)
    torch.testing.assert_close(conversion.model(images()), network(images()))
    assert not torch.allclose(conversion.model(images(), normalize=False), network(images(), normalize=False))
    assert not conversion.exact
