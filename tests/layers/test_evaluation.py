"""What evaluation keeps, in autocast and with gradients too."""

import copy

import pytest
import torch
from torch.autograd import forward_ad
from torch.nn import functional

from ndbench.layers import Deconv2d, DeconvLinear
from tests.layers.makers import batches, every_layer


@every_layer
def test_evaluation_keeps_what_it_folded_until_something_changes(make, shape, monkeypatch):
    (x,) = batches(shape, 1)
    made = make(dtype=torch.float64)
    made(x)
    made.eval()
    calls, fold = [], made.fold
    monkeypatch.setattr(made, "fold", lambda *a: calls.append(1) or fold(*a))
    with torch.no_grad():
        first = made(x)
        assert torch.equal(made(x), first)
        assert len(calls) == 1
        for parameter in made.parameters():
            parameter.mul_(2)
        changed = made(x)
        made.running_mean.add_(1)
        made(x)
    assert len(calls) == (3 if list(made.parameters()) else 2)
    if list(made.parameters()):
        torch.testing.assert_close(changed, 2 * first)


def test_a_parameter_at_the_address_of_a_former_one_is_not_taken_for_it():
    made = DeconvLinear(64, 64).eval()
    x = torch.randn(3, 64)
    for _ in range(6):
        made.weight = None  # so that its memory is free
        made.weight = torch.nn.Parameter(torch.randn(64, 64), requires_grad=False)
        made.bias.requires_grad_(False)
        torch.testing.assert_close(made(x), functional.linear(x, made.weight, made.bias))


@every_layer
@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
def test_evaluation_in_autocast_rounds_nothing_that_it_keeps(make, shape, running):
    (x,) = batches(shape, 1, torch.float32)
    made = make(running=running)
    made(x)
    made.eval()
    other = copy.deepcopy(made)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            made(x)
        assert torch.equal(made(x), other(x))


@every_layer
def test_folding_a_batch_in_autocast_is_not_rounded(make, shape):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    wanted = made.fold_for(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = made.fold_for(x)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, wanted, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # what torch.func.jvp loads
def test_evaluation_of_transformed_parameters():
    made = Deconv2d(4, 3, 3).requires_grad_(False)
    (x,) = batches((5, 4, 7, 6), 1, torch.float32)
    made(x)
    made.eval()
    weights = torch.randn(2, *made.weight.shape)

    def evaluated(weight):
        return torch.func.functional_call(made, {"weight": weight}, (x,))

    y = evaluated(made.weight)
    torch.testing.assert_close(torch.vmap(evaluated)(weights), torch.stack([evaluated(w) for w in weights]))
    # without the bias it is linear in the weight
    _, slope = torch.func.jvp(evaluated, (made.weight,), (made.weight,))
    torch.testing.assert_close(slope, y - made.bias.view(3, 1, 1), rtol=1e-4, atol=1e-4)
    with forward_ad.dual_level():
        dual = evaluated(forward_ad.make_dual(made.weight, made.weight.clone()))
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, slope)


@every_layer
def test_evaluation_has_gradients_of_parameters_and_input(make, shape):
    (x,) = batches(shape, 1)
    made = make(dtype=torch.float64)
    made(x)
    made.eval()
    with torch.no_grad():
        kept = made(x)
    with torch.inference_mode():
        assert torch.equal(made(x), kept)
    x.requires_grad_()
    y = made(x)
    assert torch.equal(y, kept)
    for gradient in torch.autograd.grad(y.square().sum(), [x, *made.parameters()]):
        assert gradient.abs().max() > 0
