"""Layers in compiled and exported graphs."""

import copy

import pytest
import torch

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
