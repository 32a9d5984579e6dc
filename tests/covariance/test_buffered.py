import pytest
import torch

from ndbench.covariance import Patches, buffered, im2col
from ndbench.covariance.buffered import by_column, by_group, column_sums
from ndbench.covariance.im2col import patch_matrix
from tests.covariance.enumeration import CASES
from tests.covariance.test_adjoint import MORE_CASES, enumerated_gradient, upstream

SEVERAL_GROUPS = Patches.of((2, 3), padding=(2, 1), stride=(1, 2), block=4)


def input_of(patches=SEVERAL_GROUPS, dtype=torch.float64):
    return torch.randn(7, 8, 6, 5, dtype=dtype, generator=torch.Generator().manual_seed(0))


@pytest.fixture(params=[(1, 256), (3000, 2), (2**20, 2)], ids=["image by image", "some, large", "all, large"])
def sizes(request, monkeypatch):
    """Buffers of one image, of some, and of all of them; groups taken together and one at a time."""
    monkeypatch.setattr(buffered, "ENTRIES", request.param[0])
    monkeypatch.setattr(buffered, "FEWEST", 2)
    monkeypatch.setattr(buffered, "LARGE", request.param[1])


@pytest.mark.parametrize("case", CASES, ids=str)
def test_every_buffer_gives_the_definition(sizes, case):
    x = case.input(torch.float64)
    mean, cov = buffered.buffered(x, case.patches)
    # with a gradient to record, im2col builds the patch matrix
    expected = [part.detach() for part in im2col(x.clone().requires_grad_(), case.patches)]
    scale = float(x.abs().max())
    torch.testing.assert_close([mean, cov], expected, rtol=1e-10, atol=1e-13 * scale**2)
    assert torch.equal(cov, cov.mT)


@pytest.mark.parametrize("case", MORE_CASES, ids=str)
def test_every_buffer_gives_the_gradient(sizes, case):
    x, gradients = case.input(torch.float64), upstream(case)
    mean = buffered.buffered(x, case.patches)[0]
    found = buffered.buffered_adjoint(x, mean, *gradients, case.patches)
    true = enumerated_gradient(x, *gradients, case.patches)
    torch.testing.assert_close(found, true, rtol=1e-9, atol=1e-12 * float(x.abs().max()))


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_a_large_mean_costs_no_digits(sizes, offset):
    x = input_of(dtype=torch.float32) + offset
    _, cov = buffered.buffered(x, Patches.of(3, block=4))
    true = im2col(x.double(), Patches.of(3, block=4))[1]
    assert (cov - true).abs().max() <= 1e-6 * true.abs().max()


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (3, 1, 0, 2), (2, 3, 1, 0)], ids=str)
def test_inputs_lie_in_memory_in_any_order(sizes, order):
    x = input_of().permute(order).contiguous().permute(*torch.tensor(order).argsort().tolist())
    mean, cov = buffered.buffered(x, SEVERAL_GROUPS)
    torch.testing.assert_close((mean, cov), buffered.buffered(x.contiguous(), SEVERAL_GROUPS))
    gradient = buffered.buffered_adjoint(x, mean, mean, cov, SEVERAL_GROUPS)
    torch.testing.assert_close(gradient, buffered.buffered_adjoint(x.contiguous(), mean, mean, cov, SEVERAL_GROUPS))
    assert gradient.is_contiguous(memory_format=torch.channels_last) == (order == (0, 2, 3, 1))


def test_pixels_without_a_patch_have_no_gradient():
    patches = Patches.of(1, stride=3)
    x = input_of()
    mean, cov = im2col(x, patches)
    gradient = buffered.buffered_adjoint(x, mean, torch.ones_like(mean), cov, patches)
    assert gradient[:, :, ::3, ::3].abs().min() > 0
    gradient[:, :, ::3, ::3] = 0
    assert not gradient.any()


def test_sums_of_columns_are_those_of_the_patch_matrix():
    x = input_of()
    X = patch_matrix(x, Patches.of((2, 3), padding=(2, 1), stride=(1, 2)))
    torch.testing.assert_close(column_sums(x, SEVERAL_GROUPS), X.sum(0))


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
def test_columns_have_the_values_of_their_groups(grouping):
    patches = Patches.of((2, 3), block=4, pooled=False, grouping=grouping)
    values = torch.arange(48.0).view(2, 24)
    assert torch.equal(by_group(by_column(values, input_of(), patches), input_of(), patches), values)
