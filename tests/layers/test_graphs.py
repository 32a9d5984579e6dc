"""Layers in compiled and exported graphs."""

import copy

import pytest
import torch
from torch import nn

from ndbench.layers import Deconv2d
from tests.layers.makers import batches, compiles, every_layer


@compiles
@every_layer
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_without_a_break(make, shape, backend):
    x = batches(shape, 1, torch.float32)[0].requires_grad_()
    torch.manual_seed(0)
    made = make()
    same = copy.deepcopy(made)
    torch.compiler.reset()
    compiled = torch.compile(same, backend=backend, fullgraph=True)
    g = torch.randn_like(made(x))
    made(x)
    wanted = torch.autograd.grad(made(x), [x, *made.parameters()], g)
    for _ in range(2):
        compiled(x)
    found = torch.autograd.grad(compiled(x), [x, *same.parameters()], g)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(same.state_dict(), made.state_dict())
    torch.testing.assert_close(torch.compile(same.eval(), backend=backend, fullgraph=True)(x), made.eval()(x))


@compiles
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("method", ["newton_schulz", "denman_beavers", "minimax_cubic", "spectral"])
def test_compiled_without_a_break_at_orders_that_have_other_adjoints(method, backend):
    torch.manual_seed(0)
    made = Deconv2d(15, 4, 3, padding=1, method=method, eps=0.1)  # order 135, above 128
    same = copy.deepcopy(made)
    x = torch.randn(8, 15, 12, 12).requires_grad_()
    torch.compiler.reset()
    compiled = torch.compile(same, backend=backend, fullgraph=True)
    g = torch.randn_like(made(x))
    wanted = torch.autograd.grad(made(x), [x, *made.parameters()], g)
    found = torch.autograd.grad(compiled(x), [x, *same.parameters()], g)
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(same.running_deconv, made.running_deconv, rtol=1e-3, atol=1e-3)


@compiles
@pytest.mark.parametrize("method", ["newton_schulz", "minimax_quintic"])
@pytest.mark.parametrize("channels", [8, 15])  # orders below 128 and above have other adjoints
def test_layers_behind_each_other_compile_for_any_size(channels, method):
    torch.manual_seed(0)
    options = {"padding": 1, "method": method, "eps": 0.1, "dtype": torch.float64}
    made = nn.Sequential(*(Deconv2d(channels, channels, 3, **options) for _ in range(2)))
    same = copy.deepcopy(made)
    torch.compiler.reset()
    compiled = torch.compile(same, backend="aot_eager", fullgraph=True, dynamic=True)
    for x in batches((8, channels, 12, 12), 1) + batches((6, channels, 9, 12), 1):
        x.requires_grad_()
        wanted, found = made(x), compiled(x)
        g = torch.randn_like(wanted)
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(
            torch.autograd.grad(found, [x, *same.parameters()], g),
            torch.autograd.grad(wanted, [x, *made.parameters()], g),
            rtol=1e-6,
            atol=1e-6,
        )
    torch.testing.assert_close(same.state_dict(), made.state_dict(), rtol=1e-6, atol=1e-6)


@compiles
@every_layer
def test_two_layers_of_a_graph_for_any_size(make, shape):
    layers = [make(), make()]
    torch.compiler.reset()
    compiled = torch.compile(lambda x: [layer(x) for layer in layers], backend="eager", fullgraph=True, dynamic=True)
    (x,) = batches(shape, 1, torch.float32)
    sum(y.sum() for y in compiled(x.requires_grad_())).backward()
    assert x.grad.isfinite().all()


@compiles
@torch.no_grad()  # behind a break the compiler asks for gradients of what is no leaf, which warns
def test_freezing_when_compiled():
    xs = batches((5, 4, 7, 6), 4, torch.float32)
    torch.manual_seed(0)
    made = Deconv2d(4, 3, 3, freeze_after=2)
    same = copy.deepcopy(made)
    torch.compiler.reset()
    compiled = torch.compile(same, backend="eager")
    for x in xs:
        torch.testing.assert_close(compiled(x), made(x))
    assert same.num_batches_tracked == 2
    torch.testing.assert_close(same.state_dict(), made.state_dict())


@every_layer
def test_exported_for_evaluation(make, shape):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    made.eval()
    torch.testing.assert_close(torch.export.export(made, (x,)).module()(x), made(x))


@every_layer
def test_exported_for_batches_of_any_size(make, shape):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    made.eval()
    exported = torch.export.export(made, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    torch.testing.assert_close(exported(x[:3]), made(x[:3]))
