"""Tensors without values: shapes, types and gradients come out, and nothing is looked at."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from ndbench.layers import Deconv2d
from tests.layers.makers import every_layer

OPTIONS = [{}, {"running": "covariance"}, {"method": "denman_beavers"}, {"method": "spectral"}, {"freeze_after": 2}]


def pass_through(make, shape, device):
    """Shapes and types of output and gradients, of training and of evaluation."""
    x = torch.ones(shape, device=device, requires_grad=True)
    made = make(device=device)
    y = made(x)
    found = [y, *torch.autograd.grad(y.sum(), [x, *made.parameters()])]
    made.eval()
    with torch.no_grad():
        found.append(made(x))
    return [(tensor.shape, tensor.dtype) for tensor in (*found, *made.state_dict().values())]


@every_layer
@pytest.mark.parametrize("options", OPTIONS)
def test_fake_and_meta_tensors(make, shape, options):
    real = pass_through(lambda **o: make(**options, **o), shape, "cpu")
    meta = pass_through(lambda **o: make(**options, **o), shape, "meta")
    with FakeTensorMode():
        fake = pass_through(lambda **o: make(**options, **o), shape, "cpu")
    assert real == meta == fake


def test_fake_tensors_at_orders_of_other_adjoints():
    with FakeTensorMode():
        fake = pass_through(lambda **o: Deconv2d(16, 4, 3, **o), (4, 16, 18, 18), "cpu")
    assert fake[0] == (torch.Size([4, 4, 16, 16]), torch.float32)
    assert fake[1] == (torch.Size([4, 16, 18, 18]), torch.float32)
