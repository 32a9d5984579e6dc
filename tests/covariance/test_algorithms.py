import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ndbench.covariance import Patches, im2col, lagged, shifted, windows
from ndbench.covariance.assembly import images_at_a_time
from tests.covariance.enumeration import CASES, case, drawn, enumerated, expected

ALGORITHMS = (im2col, windows, shifted, lagged)
DIFFERENTIABLE = (im2col, shifted, lagged)

each_algorithm = pytest.mark.parametrize("algorithm", ALGORITHMS, ids=lambda f: f.__name__)
each_differentiable = pytest.mark.parametrize("algorithm", DIFFERENTIABLE, ids=lambda f: f.__name__)


def assert_right(case, algorithm, dtype):
    """Entry by entry: 64 u relative to the standard deviations, and 4 u to the square of the values' range.

    The second allows for the shift: it is the mean of the whole channel, not of the pixels that one column sees.
    """
    x = case.input(dtype)
    (mean, cov), (true_mean, true_cov) = algorithm(x, case.patches), expected(case, dtype)
    assert mean.shape == true_mean.shape
    assert cov.shape == true_cov.shape
    assert mean.dtype == cov.dtype == dtype
    u = torch.finfo(dtype).eps / 2
    assert (mean - true_mean).abs().max() <= 64 * u * max(1.0, true_mean.abs().max())
    deviation = true_cov.diagonal(dim1=-2, dim2=-1).sqrt()
    spread = (x.max() - x.min()).double() ** 2
    allowed = 64 * u * deviation[..., :, None] * deviation[..., None, :] + 4 * u * spread
    assert ((cov - true_cov).abs() <= allowed).all()


@each_algorithm
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_agrees_with_enumeration(algorithm, case, dtype):
    assert_right(case, algorithm, dtype)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.data())
def test_random_configurations_agree_with_enumeration(data):
    random = drawn(data, padding=4, size=9)
    x = random.input()
    true = enumerated(x, random.patches)
    for algorithm in ALGORITHMS:
        for found, part in zip(algorithm(x, random.patches), true, strict=True):
            torch.testing.assert_close(found, part, rtol=1e-12, atol=1e-12)


@each_algorithm
def test_two_patches_by_hand(algorithm):
    # patches (1, 3) and (3, 8): mean (2, 5.5), deviations -1, 1 and -2.5, 2.5
    mean, cov = algorithm(torch.tensor([[[[1.0, 3.0, 8.0]]]]), Patches.of((1, 2)))
    assert mean.tolist() == [2, 5.5]
    assert cov.tolist() == [[1, 2.5], [2.5, 6.25]]


@each_algorithm
def test_padding_counts_as_zeros(algorithm):
    # patches (0, 4) and (4, 0)
    mean, cov = algorithm(torch.tensor([[[[4.0]]]]), Patches.of((1, 2), padding=(0, 1)))
    assert mean.tolist() == [2, 2]
    assert cov.tolist() == [[4, -4], [-4, 4]]


@each_algorithm
def test_large_mean_in_float32(algorithm):
    x = 1e3 + torch.randn(4, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    patches = Patches.of(3)
    _, cov = algorithm(x, patches)
    assert (cov - enumerated(x, patches)[1]).abs().max() < 1e-5


@each_algorithm
def test_groups_of_different_mean_in_float32(algorithm):
    x = torch.randn(4, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    x[:, 2:] += 100
    patches = Patches.of(2, block=2)
    _, cov = algorithm(x, patches)
    # the means of the two blocks are 50 from their mean, so the variance is near 2500
    torch.testing.assert_close(cov.double(), enumerated(x, patches)[1], rtol=1e-5, atol=1e-3)


@each_algorithm
def test_any_memory_layout(algorithm):
    x = torch.randn(4, 6, 9, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    patches = Patches.of(3, padding=1, block=2, pooled=False)
    for view in (
        x.to(memory_format=torch.channels_last),
        x[::2, :, 1:, ::2],
        x.transpose(2, 3),
        x[:1].expand(3, -1, -1, -1),
    ):
        before = view.clone()
        found = algorithm(view, patches)
        assert torch.equal(view, before)
        for part, true in zip(found, algorithm(before.contiguous(), patches), strict=True):
            torch.testing.assert_close(part, true, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", [shifted, lagged], ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_exactly_symmetric(algorithm, case):
    _, cov = algorithm(case.input(torch.float32), case.patches)
    assert torch.equal(cov, cov.mT)


@pytest.mark.parametrize("algorithm", [shifted, lagged], ids=lambda f: f.__name__)
def test_images_in_several_portions(algorithm):
    x = torch.randn(8, 4, 400, 401, generator=torch.Generator().manual_seed(0)).double()
    assert images_at_a_time(x, 4) < len(x)
    patches = Patches.of(2, padding=1, stride=5)
    for found, true in zip(algorithm(x, patches), im2col(x, patches), strict=True):
        torch.testing.assert_close(found, true, rtol=1e-12, atol=1e-12)


GRADIENT_CASES = (
    case((2, 2, 4, 3), (2, 3), padding=(1, 2)),
    case((2, 2, 5, 4), 2, padding=1, stride=2, dilation=2, block=1, pooled=False),
    case((2, 4, 3, 3), 2, padding=1, block=2, grouping="interleaved"),
)


@each_differentiable
@pytest.mark.parametrize("case", GRADIENT_CASES, ids=str)
def test_gradient_agrees_with_differences(algorithm, case):
    x = case.input().requires_grad_()
    assert torch.autograd.gradcheck(lambda x: algorithm(x, case.patches), x, rtol=1e-7, atol=1e-8)


@pytest.mark.parametrize("algorithm", [shifted, lagged], ids=lambda f: f.__name__)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_gradient_agrees_with_im2col(algorithm, case):
    generator = torch.Generator().manual_seed(1)
    gradients = []
    for f in (algorithm, im2col):
        x = case.input().requires_grad_()
        mean, cov = f(x, case.patches)
        generator.manual_seed(1)
        weights = [torch.randn(part.shape, dtype=part.dtype, generator=generator) for part in (mean, cov)]
        (mean * weights[0]).sum().add((cov * weights[1]).sum()).backward()
        gradients.append(x.grad)
    torch.testing.assert_close(*gradients, rtol=1e-11, atol=1e-11 * max(1.0, case.offset))


@each_algorithm
def test_nan_shows(algorithm):
    x = torch.randn(2, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    x[0, 1, 2, 2] = float("nan")
    mean, cov = algorithm(x, Patches.of(3, padding=1))
    assert mean[9:].isnan().all()
    assert cov[9:, 9:].isnan().all()
    assert not mean[:9].isnan().any()


def test_windows_refuses_a_gradient():
    x = torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(0)).requires_grad_()
    with pytest.raises(ValueError, match=r"windows: x must not require a gradient.*detach x"):
        windows(x, Patches.of(2))
