"""Writes that PyTorch's version counters do not see, and weights that are computed: nothing stale is evaluated."""

import copy

import pytest
import torch
from torch.nn.utils import parametrizations, prune

from ndbench.layers import Deconv2d, DeconvLinear, fold
from tests.layers.makers import MAKERS, batches

FUSED = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
}
fused = pytest.mark.parametrize("optimizer", FUSED.values(), ids=FUSED)


LEARNING = {name: MAKERS[name] for name in ("Deconv2d", "separate", "DeconvLinear", "ChannelDeconv2d")}
every_layer_that_learns = pytest.mark.parametrize(("make", "shape"), LEARNING.values(), ids=LEARNING)


def afresh(made, x):
    """What a copy, which has kept nothing, evaluates."""
    with torch.no_grad():
        return copy.deepcopy(made).eval()(x)


def evaluated(made, x):
    with torch.no_grad():
        return made(x)


@every_layer_that_learns
@fused
def test_evaluation_after_steps_of_frozen_training(make, shape, optimizer):
    first, x = batches(shape, 2, torch.float32)
    made = make(freeze_after=1)
    made(first)
    optimizer = optimizer(made.parameters(), lr=0.1, fused=True)
    for _ in range(2):
        made.eval()
        torch.testing.assert_close(evaluated(made, x), afresh(made, x), rtol=0, atol=0)
        torch.testing.assert_close(evaluated(fold(made), x), evaluated(made, x), rtol=1e-4, atol=1e-4)
        made.train()
        # frozen training without gradients keeps the fold too
        torch.testing.assert_close(evaluated(made, x), afresh(made, x), rtol=0, atol=0)
        made(x).square().sum().backward()
        optimizer.step()
        torch.testing.assert_close(evaluated(made, x), afresh(made, x), rtol=0, atol=0)


@every_layer_that_learns
@fused
def test_evaluation_after_steps_of_fine_tuning_in_evaluation(make, shape, optimizer):
    first, x = batches(shape, 2, torch.float32)
    made = make()
    made(first)
    made.eval()
    optimizer = optimizer(made.parameters(), lr=0.1, fused=True)
    for _ in range(2):
        before = evaluated(made, x)
        made(x).square().sum().backward()
        optimizer.step()
        assert not torch.equal(evaluated(made, x), before)
        torch.testing.assert_close(evaluated(made, x), afresh(made, x), rtol=0, atol=0)


@fused
def test_folding_does_not_take_what_evaluation_kept(optimizer):
    """Evaluation between the pass and the step keeps a fold, and the step does not tell."""
    (x,) = batches((5, 4, 7, 6), 1, torch.float32)
    made = Deconv2d(4, 3, 3)
    made(x)
    made.eval()
    optimizer = optimizer(made.parameters(), lr=0.1, fused=True)
    loss = made(x).square().sum()
    evaluated(made, x)
    loss.backward()
    optimizer.step()
    torch.testing.assert_close(evaluated(fold(made), x), afresh(made, x), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(evaluated(made.eval(), x), afresh(made, x), rtol=0, atol=0)


def test_folding_in_autocast_rounds_nothing():
    (x,) = batches((5, 4, 7, 6), 1, torch.float32)
    made = Deconv2d(4, 3, 3)
    made(x)
    wanted = fold(made.eval())
    with torch.autocast("cpu", torch.bfloat16):
        found = fold(made)
    assert torch.equal(found.weight, wanted.weight)
    assert torch.equal(found.bias, wanted.bias)


def changed(parameter, made, x):
    """Evaluation before and after the parameter was written to."""
    before = evaluated(made, x)
    with torch.no_grad():
        parameter.mul_(2)
    return before, evaluated(made, x)


@pytest.mark.parametrize("bias", [True, False])
def test_weight_normalization_has_gradients_in_evaluation(bias):
    (x,) = batches((5, 4, 7, 6), 1)
    made = parametrizations.weight_norm(Deconv2d(4, 3, 3, bias=bias, dtype=torch.float64))
    made(x)
    made.eval()
    evaluated(made, x)
    y = made(x)
    assert y.requires_grad
    scale, direction = made.parametrizations.weight.original0, made.parametrizations.weight.original1
    assert all(g.abs().max() > 0 for g in torch.autograd.grad(y.square().sum(), [scale, direction]))
    before, after = changed(scale, made, x)
    constant = made.bias.view(3, 1, 1).detach() if bias else 0
    torch.testing.assert_close(after - constant, 2 * (before - constant))


def test_an_orthogonal_weight_has_gradients_in_evaluation():
    torch.manual_seed(0)
    (x,) = batches((30, 4), 1)
    made = parametrizations.orthogonal(DeconvLinear(4, 3, bias=False, dtype=torch.float64))
    made(x)
    made.eval()
    evaluated(made, x)
    y = made(x)
    (original,) = made.parametrizations.parameters()
    (gradient,) = torch.autograd.grad(y.square().sum(), original)
    assert gradient.abs().max() > 0
    optimizer = torch.optim.SGD([original], lr=0.1, fused=True)
    original.grad = torch.randn_like(original)
    optimizer.step()
    assert not torch.allclose(evaluated(made, x), y)
    torch.testing.assert_close(evaluated(made, x), afresh(made, x), rtol=0, atol=0)


def test_a_pruned_weight_is_evaluated_as_it_is():
    (x,) = batches((30, 4), 1)
    made = DeconvLinear(4, 3, bias=False, dtype=torch.float64)
    made(x)
    made.eval()
    evaluated(made, x)
    prune.l1_unstructured(made, "weight", amount=0.5)
    mean, D = made.averages()
    wanted = (x - mean) @ D @ (made.weight_orig * made.weight_mask).mT
    torch.testing.assert_close(evaluated(made, x), wanted)
    assert torch.autograd.grad(made(x).square().sum(), made.weight_orig)[0].abs().max() > 0
    before, after = changed(made.weight_orig, made, x)
    torch.testing.assert_close(after, 2 * before)


def test_a_view_of_the_old_weight_is_another_weight():
    layer, x = DeconvLinear(8, 8, bias=False), torch.randn(64, 8)
    layer(x)
    evaluated(layer, x)
    # same address, same version: the first rows, as pruning keeps them, and the transpose
    layer.weight, layer.out_features = torch.nn.Parameter(layer.weight[:4].detach()), 4
    assert torch.equal(evaluated(layer, x), afresh(layer, x))
    square = DeconvLinear(8, 8, bias=False).eval()
    evaluated(square, x)
    square.weight = torch.nn.Parameter(square.weight.detach().mT)
    assert torch.equal(evaluated(square, x), afresh(square, x))


def by_data(teacher, student, m):
    for t, s in zip(teacher.parameters(), student.parameters(), strict=True):
        t.data.mul_(m).add_(s.data, alpha=1 - m)
    teacher.eval()


@torch.no_grad()
def by_parameters(teacher, student, m):
    for t, s in zip(teacher.parameters(), student.parameters(), strict=True):
        t.lerp_(s, 1 - m)


@every_layer_that_learns
@pytest.mark.parametrize("average", [by_data, by_parameters])
def test_teachers_averaged_as_documented(make, shape, average):
    first, x = batches(shape, 2, torch.float32)
    student = make()
    student(first)
    teacher = copy.deepcopy(student).eval().requires_grad_(False)
    for _ in range(2):
        before = evaluated(teacher, x)
        with torch.no_grad():
            for parameter in student.parameters():
                parameter.add_(1)
        average(teacher, student, 0.5)
        assert not torch.equal(evaluated(teacher, x), before)
        torch.testing.assert_close(evaluated(teacher, x), afresh(teacher, x), rtol=0, atol=0)
