"""Outputs that a network keeps, and networks that are converted twice or traced."""

import pytest
import torch
from torch import fx, nn

from ndbench.layers import Deconv2d, convert, fold
from ndbench.layers.whitening import Whitening
from tests.layers.networks import PreResNet, images, reasons, trained

OUTSIDE = []


class Keeping(nn.Module):
    """Keeps the output of its convolution, somewhere."""

    def __init__(self, keep):
        super().__init__()
        self.conv, self.norm, self.keep = nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), keep
        self.kept, self.all, self.by_name = None, [], {}

    def forward(self, x):
        y = self.conv(x)
        self.keep(self, y)
        return self.norm(y)


KEEPERS = {
    "attribute": lambda self, y: setattr(self, "kept", y),
    "part's attribute": lambda self, y: setattr(self.norm, "kept", y),
    "list": lambda self, y: self.all.append((0, y)),
    "dictionary": lambda self, y: self.by_name.update(conv=[y]),
    "outside": lambda self, y: OUTSIDE.append(y),
}


@pytest.mark.parametrize("keep", KEEPERS.values(), ids=KEEPERS)
def test_what_is_kept_stays_what_it_was(keep):
    # what has a graph could not be copied
    with torch.no_grad():
        network = trained(lambda: Keeping(keep))
    conversion = convert(network)
    assert conversion.exact
    told = {change.name: change for change in conversion.replaced}["norm"]
    assert (told.now, told.reason) == ("Conv2d", "its scale and offset; its input is conv (used elsewhere too)")
    assert torch.equal(conversion.model.conv.weight, network.conv.weight)
    torch.testing.assert_close(conversion.model(images()), network(images()))
    OUTSIDE.clear()


def test_what_follows_may_be_kept():
    class Behind(Keeping):
        def forward(self, x):
            self.kept = super().forward(x)
            return self.kept

    with torch.no_grad():
        network = trained(lambda: Behind(lambda self, y: None))
    conversion = convert(network)
    assert [change.reason for change in conversion.replaced] == ["its weights, with norm folded in", "folded into conv"]
    torch.testing.assert_close(conversion.model(images()), network(images()))


def test_a_converted_network_is_left_as_it_is():
    once = convert(trained(PreResNet)).model
    with pytest.raises(
        ValueError, match=r"nothing to convert in this PreResNet:\n  blocks.0.bn1  Conv2d  stands for a"
    ):
        convert(once)


@pytest.mark.parametrize("inplace", [True, False])
def test_what_was_added_to_a_converted_network_is_converted(inplace):
    network = nn.Sequential(convert(trained(PreResNet)).model, nn.Linear(5, 2)).eval()
    wanted = network(images())
    conversion = convert(network, inplace=inplace)
    assert [change.name for change in conversion.replaced] == ["1"]
    assert set(reasons(conversion).values()) == {"stands for a batch normalization"}
    torch.testing.assert_close(conversion.model(images()), wanted)
    assert type(fold(conversion.model)[0].blocks[0].bn1) is nn.Conv2d


class LayersAsOne(fx.Tracer):
    def is_leaf_module(self, m, name):
        return isinstance(m, Whitening) or super().is_leaf_module(m, name)


def test_traced_as_documented():
    network = nn.Sequential(Deconv2d(3, 4, 3), nn.ReLU()).eval()
    graph = LayersAsOne().trace(network)
    torch.testing.assert_close(fx.GraphModule(network, graph)(images()), network(images()))
    torch.testing.assert_close(fx.symbolic_trace(fold(network))(images()), network(images()))
    with pytest.raises(TypeError, match="Deconv2d: the input must be a tensor; got a Proxy"):
        fx.symbolic_trace(network)
