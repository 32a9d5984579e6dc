"""Faulty batches of networks, on a GPU or in compiled graphs: one error, after which all is as asked for."""

import re

import pytest
import torch
from torch import nn

from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear
from tests.layers.makers import compiles

HELD = "a batch held NaN, infinities, or numbers whose squares overflow float32"
KEPT = "; the running averages are as they were"


class Net(nn.Module):
    """Layers at several depths, with plain modules before, between and behind them."""

    def __init__(self):
        super().__init__()
        self.before = nn.Dropout()
        self.body = nn.Sequential(Deconv2d(3, 4, 3), nn.BatchNorm2d(4), ChannelDeconv2d(4))
        self.head = nn.Sequential(nn.Flatten(), DeconvLinear(4 * 36, 2))
        self.behind = nn.Dropout()

    def forward(self, x):
        return self.behind(self.head(self.body(self.before(x))))


def damaged(value=torch.nan):
    """A network that saw a good batch and a faulty one, in a compiled graph, and its state before that one."""
    torch.manual_seed(0)
    network, x = Net(), torch.randn(4, 3, 8, 8)
    network(x)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items() if ".1." not in name}
    torch.compiler.reset()
    assert torch.compile(network, backend="eager", fullgraph=True)(x * value).isnan().all()
    return network, before


def flags(network):
    return [module.faulty.item() for module in network.modules() if hasattr(module, "faulty")]


ALL = re.escape(f"Net: {HELD}, in body.0 (Deconv2d), body.2 (ChannelDeconv2d), head.1 (DeconvLinear){KEPT}")


@compiles
@pytest.mark.parametrize("ask", ["eval", "train", "state_dict"])
def test_one_error_for_all_layers_and_all_modules_do_as_they_are_told(ask):
    network, before = damaged()
    with pytest.raises(ValueError, match=f"^{ALL}$"):
        getattr(network, ask)()
    assert flags(network) == [0, 0, 0]
    assert {module.training for module in network.modules()} == {ask != "eval"}
    after = network.eval().state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


@compiles
def test_a_compiled_network_reports_for_itself():
    network, _ = damaged()
    with pytest.raises(ValueError, match="OptimizedModule: a batch held NaN"):
        torch.compile(network, backend="eager").eval()
    assert flags(network) == [0, 0, 0]
    assert not any(module.training for module in network.modules())


@compiles
def test_a_part_that_is_asked_reports_for_itself():
    network, _ = damaged()
    with pytest.raises(ValueError, match=re.escape(f"Sequential: {HELD}, in 0 (Deconv2d), 2 (ChannelDeconv2d){KEPT}")):
        network.body.eval()
    assert flags(network) == [0, 0, 1]
    assert network.head.training
    with pytest.raises(ValueError, match=f"^DeconvLinear: {HELD}{KEPT}"):
        network.head[1].raise_if_faulty()
    network.eval()


class Frozen(Net):
    """Keeps a part in evaluation, as those do who train on from averages of others."""

    def train(self, mode=True):
        super().train(mode)
        self.body.eval()
        return self


def test_modes_that_a_network_sets_itself_are_kept():
    network = Frozen()
    network.head[1].faulty.fill_(1)
    with pytest.raises(ValueError, match=re.escape("Frozen: a batch held NaN")):
        network.train()
    assert [module.training for module in (network.body, network.body[0], network.head[1], network.behind)] == [
        *(False, False),
        *(True, True),
    ]


class Trainer(nn.Module):
    """Has a method of that name which is another thing."""

    def __init__(self):
        super().__init__()
        self.network, self.behind, self.epochs = Net(), nn.Dropout(), 0

    def train(self, mode=True):
        self.epochs += 1
        self.network.train(mode)


def test_other_methods_of_the_name_are_not_called():
    trainer = Trainer()
    trainer.network.head[1].faulty.fill_(1)
    with pytest.raises(ValueError, match=re.escape("Net: a batch held NaN")):
        trainer.eval()
    assert trainer.epochs == 1
    assert trainer.behind.training


def test_many_layers_are_counted():
    network = nn.Sequential(*(Deconv2d(1, 1, 1) for _ in range(9)))
    for layer in network:
        layer.faulty.fill_(1)
    with pytest.raises(ValueError, match=re.escape("in 0 (Deconv2d), 1 (Deconv2d), 2 (Deconv2d) and 6 others; the")):
        network.state_dict()


def test_a_layer_that_reports_a_faulty_batch_has_changed_its_mode():
    layer = Deconv2d(3, 4, 3)
    layer.faulty.fill_(1)
    with pytest.raises(ValueError, match=f"^Deconv2d: {HELD}{KEPT}$"):
        layer.eval()
    assert not layer.training
