import pytest
import torch
from torch.autograd import forward_ad

from ndbench.products import product, served, unrecorded


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_what_is_followed_is_recorded():
    x = torch.ones(2)
    seen = []
    assert unrecorded(x, x)
    assert not unrecorded(x, x.clone().requires_grad_())
    with torch.no_grad():
        assert unrecorded(x.clone().requires_grad_())
    torch.func.vmap(lambda row: seen.append(unrecorded(row)) or row)(x)
    torch.func.grad(lambda row: seen.append(unrecorded(row)) or row.sum())(x)
    assert seen == [False, False]
    with forward_ad.dual_level():
        assert not unrecorded(x)
    assert not unrecorded(x.to("meta"))


@pytest.mark.parametrize("cut", [slice(None), slice(0, 70), slice(None, None, 2)], ids=str)
def test_products_of_views_are_right(cut):
    left, right = random(200, 150)[:, cut], random(150, 180, seed=1)[cut]
    true = left.double() @ right.double()
    for A, B in ((left, right), (left, right.mT.contiguous().mT), (left.mT.contiguous().mT, right)):
        assert served(A, B)
        assert (product(A, B) - true).abs().max() <= 1e-6 * true.abs().max()


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (random(100, 100).double(), random(100, 100).double()),
        (random(2, 100, 100), random(100, 100)),
        (random(100, 4), random(4, 100)),
    ],
)
def test_other_products_are_torchs(left, right):
    assert not served(left, right)
    assert torch.equal(product(left, right), left @ right)


def test_recorded_products_have_derivatives():
    left = random(70, 70).requires_grad_()
    assert not served(left, left)
    product(left, left).sum().backward()
    torch.testing.assert_close(left.grad, left.sum(1)[None] + left.sum(0)[:, None])
