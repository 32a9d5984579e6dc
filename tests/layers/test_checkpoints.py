"""Passes that backward computes a second time: gradients and averages are those of passes that are kept."""

import copy

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from ndbench.layers import Deconv2d, DeconvLinear
from ndbench.layers.published import ChannelDeconv, FastDeconv
from tests.layers.makers import batches, every_layer

reentrant = pytest.mark.parametrize("reentrant", [True, False])


def kept(made, x, reentrant):
    return made(x)


def again(made, x, reentrant):
    return checkpoint(made, x, use_reentrant=reentrant)


def trained(made, run, reentrant, xs, passes=1):
    """The gradients of every step of so many passes, and what the layer then is."""
    found = []
    for i in range(0, len(xs), passes):
        leaves = [x.clone().requires_grad_() for x in xs[i : i + passes]]
        sum(run(made, x, reentrant).square().sum() for x in leaves).backward()
        found.append([x.grad for x in leaves] + [parameter.grad.clone() for parameter in made.parameters()])
        made.zero_grad()
    return found, made.state_dict()


def compare(made, reentrant, xs, passes=1):
    wanted = trained(copy.deepcopy(made), kept, reentrant, xs, passes)
    torch.testing.assert_close(trained(made, again, reentrant, xs, passes), wanted, rtol=1e-10, atol=1e-10)


@reentrant
@every_layer
@pytest.mark.parametrize("freeze_after", [None, 1, 2])
def test_as_if_the_pass_were_kept(make, shape, freeze_after, reentrant):
    made = make(dtype=torch.float64, freeze_after=freeze_after)
    compare(made, reentrant, batches(shape, 4))
    assert made.num_batches_tracked == (freeze_after or 4)


@reentrant
@pytest.mark.parametrize("freeze_after", [None, 2, 4])
def test_steps_of_several_passes(freeze_after, reentrant):
    compare(DeconvLinear(4, 3, freeze_after=freeze_after).double(), reentrant, batches((30, 4), 8), passes=2)


@reentrant
def test_a_mode_that_is_set_again_before_backward(reentrant):
    first, x = batches((30, 4), 2)
    made = DeconvLinear(4, 3, freeze_after=2).double()
    made(first)
    leaf, other = x.clone().requires_grad_(), x.clone().requires_grad_()
    copy.deepcopy(made)(other).square().sum().backward()
    loss = again(made, leaf, reentrant).square().sum()
    made.train()
    loss.backward()
    torch.testing.assert_close(leaf.grad, other.grad, rtol=0, atol=0)


@reentrant
def test_passes_before_and_after_freezing_in_one_step_are_refused_once(reentrant):
    xs = batches((30, 4), 4)
    made = DeconvLinear(4, 3, freeze_after=1).double()
    with pytest.raises(RuntimeError, match=r"DeconvLinear: some passes .* before `freeze_after`, .*; repeat this step"):
        trained(made, again, reentrant, xs[:2], passes=2)
    made.zero_grad()
    compare(made, reentrant, xs, passes=2)


@reentrant
def test_the_published_freezing(reentrant):
    torch.manual_seed(0)
    made = FastDeconv(4, 3, 3, freeze=True, freeze_iter=1).double()
    compare(made, reentrant, batches((5, 4, 7, 6), 13))
    assert made.counter == 3


@reentrant
def test_the_published_channel_layer(reentrant):
    compare(ChannelDeconv(4).double(), reentrant, batches((5, 9, 7, 6), 3))


@reentrant
def test_inside_a_longer_segment(reentrant):
    torch.manual_seed(0)
    layers = [Deconv2d(4, 4, 3, padding=1, freeze_after=2), torch.nn.Tanh(), Deconv2d(4, 2, 1, freeze_after=1)]
    made = torch.nn.Sequential(*layers).double()
    compare(made, reentrant, batches((5, 4, 7, 6), 4))
