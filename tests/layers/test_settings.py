"""Settings that batch normalization has, read and written under its names."""

import copy
import inspect
import pickle
import re

import pytest
import torch
from torch import nn

from ndbench.layers import ChannelDeconv1d, ChannelDeconv2d, ChannelDeconv3d, Deconv2d, fold
from ndbench.layers.published import FastDeconv
from tests.layers.makers import MAKERS, batches, compiles, every_layer

NEW = {"eps": 0.25, "momentum": 1.0, "track_running_stats": False}


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(ChannelDeconv1d, nn.BatchNorm1d), (ChannelDeconv2d, nn.BatchNorm2d), (ChannelDeconv3d, nn.BatchNorm3d)],
)
def test_positions_are_those_of_batch_normalization(ours, theirs):
    names = list(inspect.signature(theirs).parameters)[:5]
    assert list(inspect.signature(ours).parameters)[:5] == names
    values = (4, 1e-3, 0.2, True, False)
    made = ours(*values)
    assert [getattr(made, name) for name in names] == list(values)
    assert made.running_mean is None


@every_layer
@pytest.mark.parametrize(("name", "value"), NEW.items(), ids=NEW)
def test_what_is_written_is_what_a_layer_made_so_does(make, shape, name, value):
    first, x = batches(shape, 2)
    torch.manual_seed(0)
    written = make(dtype=torch.float64)
    torch.manual_seed(0)
    made = make(dtype=torch.float64, **{name: value})
    assert getattr(written, name) != value
    setattr(written, name, value)
    assert getattr(written, name) == getattr(made, name) == value
    assert written.options == made.options
    assert repr(written) == repr(made)
    for copied in (copy.deepcopy(written), pickle.loads(pickle.dumps(written))):
        assert getattr(copied, name) == value
    for layer in (written, made):
        layer(first)
    assert torch.equal(written(x), made(x))
    assert torch.equal(written.eval()(first), made.eval()(first))


@compiles
def test_what_is_written_reaches_compiled_layers():
    first, second, third = batches((5, 4, 7, 6), 3, torch.float32)
    torch.manual_seed(0)
    made = Deconv2d(4, 3, 3)
    same = copy.deepcopy(made)
    torch.compiler.reset()
    compiled = torch.compile(same, backend="eager", fullgraph=True)
    for changes, x in (({}, first), ({"eps": 0.25, "momentum": 1.0}, second), ({"momentum": None}, third)):
        for name, value in changes.items():
            setattr(made, name, value)
            setattr(same, name, value)
        torch.testing.assert_close(compiled(x), made(x))
        torch.testing.assert_close(same.state_dict(), made.state_dict())
    scaled = torch.compile(lambda x: x * made.eps, backend="eager", fullgraph=True)
    assert torch.equal(scaled(first), first * 0.25)


@pytest.mark.parametrize("make", [pair[0] for pair in MAKERS.values()], ids=MAKERS)
@pytest.mark.parametrize(
    ("name", "value", "error", "message"),
    [
        ("eps", -1.0, ValueError, "eps must be finite and not negative; got -1.0"),
        ("eps", "a", TypeError, "eps must be a number; got 'a'"),
        ("momentum", 0.0, ValueError, "momentum must lie in (0, 1], or be None"),
        ("momentum", torch.tensor(0.1), TypeError, "momentum must be a number; got tensor(0.1000)"),
        ("track_running_stats", 1, TypeError, "track_running_stats must be True or False; got 1"),
    ],
)
def test_what_is_written_is_checked(make, name, value, error, message):
    made = make()
    before = made.options
    with pytest.raises(error, match=re.escape(f"{type(made).__name__}: {message}")):
        setattr(made, name, value)
    assert made.options == before


def test_averages_rest_while_they_are_not_tracked():
    first, second = batches((5, 4, 7, 6), 2, torch.float32)
    made = Deconv2d(4, 3, 3)
    made(first)
    kept, y = copy.deepcopy(made.state_dict()), copy.deepcopy(made).eval()(second)
    made.track_running_stats = False
    whitened = made(second)
    assert torch.equal(made.eval()(second), whitened)
    with pytest.raises(ValueError, match="has no running averages"):
        fold(made)
    torch.testing.assert_close(made.state_dict(), kept, rtol=0, atol=0)
    made.track_running_stats = True
    assert torch.equal(made(second), y)


def test_averages_that_do_not_exist_cannot_be_tracked():
    made = Deconv2d(4, 3, 3, track_running_stats=False)
    made.track_running_stats = False
    with pytest.raises(ValueError, match="Deconv2d: there are no running averages to track; make the layer with them"):
        made.track_running_stats = True


def test_freezing_needs_averages():
    with pytest.raises(ValueError, match="Deconv2d: freeze_after needs running averages"):
        Deconv2d(4, 3, 3, freeze_after=2).track_running_stats = False


def test_published_layers_have_them():
    made = FastDeconv(4, 3, 3)
    made.momentum = 0.5
    assert (made.eps, made.options.momentum) == (1e-5, 0.5)
