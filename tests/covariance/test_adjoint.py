from functools import cache, partial
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from ndbench.covariance import Patches, adjoint_pixels, buffered
from ndbench.covariance.adjoint import differentiated, tangent
from ndbench.covariance.adjoint_pixels import lagged_adjoint, shifted_adjoint
from ndbench.covariance.adjoint_regions import reaches
from ndbench.covariance.adjoint_weights import rows_of
from ndbench.covariance.im2col import im2col, im2col_adjoint, patch_matrix
from ndbench.covariance.lagged import lagged
from ndbench.covariance.pieces import Axis
from ndbench.covariance.shifted import shifted
from tests.covariance.enumeration import CASES, Case, case, drawn, enumerated, grouped_places

ADJOINTS = {im2col: im2col_adjoint, shifted: shifted_adjoint, lagged: lagged_adjoint}

each_algorithm = pytest.mark.parametrize("algorithm", ADJOINTS, ids=lambda f: f.__name__)
without_patches = pytest.mark.parametrize("algorithm", [shifted, lagged], ids=lambda f: f.__name__)
# torch builds its forward mode with torch.jit when it is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

MORE_CASES = (
    *CASES,
    case((2, 2, 9, 8), 3, padding=1, stride=(4, 2)),
    case((1, 2, 9, 8), 3, padding=(3, 0), stride=(4, 2), dilation=(1, 3)),
    case((1, 2, 8, 7), (4, 3), padding=(2, 3), dilation=(1, 2), stride=(2, 3)),
    case((1, 3, 4, 2), (4, 2)),
    case((1, 4, 3, 5), (3, 5), block=2),
    case((1, 4, 3, 3), 3, block=2, pooled=False, grouping="interleaved"),
    case((2, 2, 6, 7), 3, padding=1, offset=1e3),
    case((2, 4, 6, 7), 2, padding=2, offset=-1e3, block=2, grouping="interleaved", pooled=False),
)


def upstream(case, dtype=torch.float64):
    """Gradients with respect to the mean and the covariance; the second is not symmetric."""
    generator = torch.Generator().manual_seed(case.seed + 1)
    C, patches = case.shape[1], case.patches
    F = C * patches.offsets // patches.groups(C)
    groups = () if patches.pooled else (patches.groups(C),)
    shapes = ((*groups, F), (*groups, F, F))
    return [torch.randn(shape, dtype=torch.float64, generator=generator).to(dtype) for shape in shapes]


def enumerated_gradient(x, dmean, dcov, patches):
    """The gradient in float64, patch by patch: cov_ab is the mean of the products (X_a - mean_a) (X_b - mean_b)."""
    x, groups = x.double().numpy(), grouped_places(x.shape, patches)
    mean = enumerated(torch.from_numpy(x), patches)[0].numpy()
    M = len(groups[0][0]) * (len(groups) if patches.pooled else 1)
    gradient = np.zeros_like(x)
    for g, columns in enumerate(groups):
        of_mean, of_cov, m = (
            part if patches.pooled else part[g] for part in (dmean.double().numpy(), dcov.double().numpy(), mean)
        )
        for row in zip(*columns, strict=True):
            deviation = np.array([0.0 if at is None else x[at] for at in row]) - m
            for a, at in enumerate(row):
                if at is not None:
                    gradient[at] += (of_mean[a] + of_cov[a] @ deviation + of_cov[:, a] @ deviation) / M
    return torch.from_numpy(gradient)


@cache
def true_gradient(case, dtype):
    return enumerated_gradient(case.input(dtype), *upstream(case, dtype), case.patches)


def assert_right(case, algorithm, dtype=torch.float64, adjoint=None):
    """Entry by entry (8 + K) u of the largest gradient, and of what a row of values as large as x would give.

    A pixel is a sum over K^2 pairs of offsets, whose rounding errors walk at random. The row allows for the mean, which
    is rounded, and for the shift, which is the mean of the whole channel.
    """
    x, gradients = case.input(dtype), upstream(case, dtype)
    found = (adjoint or ADJOINTS[algorithm])(x, algorithm(x, case.patches)[0], *gradients, case.patches)
    true = true_gradient(case, dtype)
    assert found.dtype == dtype
    assert found.shape == true.shape
    u, dcov = torch.finfo(dtype).eps / 2, gradients[1].double()
    row = (dcov + dcov.mT).norm(dim=-1).max() * x.double().abs().max() / rows_of(x, case.patches)
    assert (found - true).abs().max() <= (8 + case.patches.offsets) * u * (true.abs().max() + row)


@each_algorithm
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("case", MORE_CASES, ids=str)
def test_agrees_with_enumeration(algorithm, case, dtype):
    assert_right(case, algorithm, dtype)


@pytest.mark.parametrize("case", [c for c in MORE_CASES if c.patches.grouping == "channel"], ids=str)
def test_convolutions_agree_with_enumeration(monkeypatch, case):
    # they serve float32 only, where a wrong border could hide behind rounding
    monkeypatch.setattr(adjoint_pixels, "convolves", lambda *_: True)
    assert_right(case, lagged)


def test_convolutions_serve_float32(monkeypatch):
    taken = []
    run = adjoint_pixels.convolution
    monkeypatch.setattr(adjoint_pixels, "convolution", lambda *a, **b: taken.append(0) or run(*a, **b))
    assert_right(MORE_CASES[5], lagged, torch.float32)
    assert len(taken) == 9  # same padding and three rows: inside, four borders and four corners
    assert_right(MORE_CASES[5], lagged, torch.float64)
    assert len(taken) == 9


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_random_configurations_agree_with_enumeration(data):
    random = drawn(data, padding=5, size=8)
    for algorithm in ADJOINTS:
        assert_right(random, algorithm)


@each_algorithm
@pytest.mark.parametrize("case", MORE_CASES, ids=str)
def test_agrees_with_autograd_through_the_definition(algorithm, case):
    x = case.input().requires_grad_()
    gradients = upstream(case)
    (expected,) = torch.autograd.grad(im2col(x, case.patches), x, gradients)
    (found,) = torch.autograd.grad(differentiated(x, case.patches, algorithm, ADJOINTS[algorithm]), x, gradients)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14 * max(1, abs(case.offset)) * expected.abs().max())


@each_algorithm
@pytest.mark.parametrize("case", MORE_CASES, ids=str)
def test_adjoint_of_the_tangent(algorithm, case):
    # <G, J E> = <J^T G, E>, relative to the norms of all four
    x, (dmean, dcov) = case.input(), upstream(case)
    E = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    mean_tangent, cov_tangent = tangent(x, E, case.patches, algorithm)
    gradient = ADJOINTS[algorithm](x, algorithm(x, case.patches)[0], dmean, dcov, case.patches)
    left, right = (dmean * mean_tangent).sum() + (dcov * cov_tangent).sum(), (gradient * E).sum()
    outputs = dmean.norm() * mean_tangent.norm() + dcov.norm() * cov_tangent.norm()
    assert (left - right).abs() <= 1e-13 * max(outputs, gradient.norm() * E.norm())


@each_algorithm
@pytest.mark.parametrize("case", MORE_CASES, ids=str)
def test_tangent_agrees_with_forward_mode_through_the_definition(algorithm, case):
    x = case.input()
    E = torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    _, expected = torch.func.jvp(partial(im2col, patches=case.patches), (x,), (E,))
    for found, part in zip(tangent(x, E, case.patches, algorithm), expected, strict=True):
        torch.testing.assert_close(found, part, rtol=1e-12, atol=1e-13 * max(1, abs(case.offset)))


SMALL = (
    case((2, 2, 3, 4), (2, 3), padding=(1, 2)),
    case((1, 2, 5, 4), 2, padding=1, stride=2, dilation=2, block=1, pooled=False),
    case((1, 4, 3, 3), 2, padding=1, block=2, grouping="interleaved"),
    case((1, 2, 2, 2), 2),
)


@each_algorithm
@pytest.mark.parametrize("case", SMALL, ids=str)
def test_derivatives_agree_with_differences(algorithm, case):
    x = case.input().requires_grad_()

    def f(x):
        return differentiated(x, case.patches, algorithm, ADJOINTS[algorithm])

    tight = {"rtol": 1e-7, "atol": 1e-8}
    assert torch.autograd.gradcheck(f, x, check_forward_ad=True, **tight)
    assert torch.autograd.gradgradcheck(f, x, check_fwd_over_rev=True, **tight)


@each_algorithm
def test_two_patches_by_hand(algorithm):
    # patches (1, 3) and (3, 8): deviations -1, 1 and -2.5, 2.5; dcov picks cov_01, the mean of the products
    x = torch.tensor([[[[1.0, 3.0, 8.0]]]])
    patches = Patches.of((1, 2))
    dcov = torch.tensor([[0.0, 1.0], [0.0, 0.0]])
    found = ADJOINTS[algorithm](x, algorithm(x, patches)[0], torch.zeros(2), dcov, patches)
    # pixel 0 is column 0 of row 0, so half of -2.5; pixel 1 both column 1 of row 0 and column 0 of row 1
    assert found.tolist() == [[[[-1.25, -0.5 + 1.25, 0.5]]]]
    found = ADJOINTS[algorithm](x, algorithm(x, patches)[0], torch.tensor([2.0, 4.0]), 0 * dcov, patches)
    assert found.tolist() == [[[[1.0, 3.0, 2.0]]]]


@each_algorithm
def test_large_mean_in_float32(algorithm):
    x = 1e3 + torch.randn(4, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    large = Case((4, 2, 12, 12), Patches.of(3))
    dmean, dcov = upstream(large, torch.float32)
    found = ADJOINTS[algorithm](x, algorithm(x, large.patches)[0], dmean, dcov, large.patches)
    true = enumerated_gradient(x, dmean, dcov, large.patches)
    # the mean is rounded to 3e-5, a product of two values near 1e3 would be to 6e-2
    assert (found - true).abs().max() < 3e-4 * true.abs().max()


@each_algorithm
def test_constant_input_has_a_finite_gradient(algorithm):
    x = torch.full((2, 2, 4, 4), 3.0, dtype=torch.float64)
    constant = Case((2, 2, 4, 4), Patches.of(3))
    dmean, dcov = upstream(constant)
    gradient = ADJOINTS[algorithm](x, algorithm(x, constant.patches)[0], dmean, dcov, constant.patches)
    alone = ADJOINTS[algorithm](x, algorithm(x, constant.patches)[0], dmean, 0 * dcov, constant.patches)
    torch.testing.assert_close(gradient, alone, rtol=1e-12, atol=1e-14)
    assert gradient.abs().max() > 0


@without_patches
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_images_in_several_portions(algorithm, dtype):
    several = case((7, 4, 300, 301), 2, padding=1, stride=5)
    x, gradients = several.input(dtype), upstream(several, dtype)
    mean, _ = im2col(x, several.patches)
    expected = im2col_adjoint(x, mean, *gradients, several.patches)
    found = ADJOINTS[algorithm](x, mean, *gradients, several.patches)
    u = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(found, expected, rtol=0, atol=64 * u * expected.abs().max())


class Largest(TorchDispatchMode):
    """The number of entries of the largest tensor that any operation makes."""

    entries = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        made = function(*arguments, **(options or {}))
        # an expanded tensor has more entries than memory
        for tensor in made if isinstance(made, list | tuple) else [made]:
            if isinstance(tensor, torch.Tensor):
                self.entries = max(self.entries, tensor.untyped_storage().nbytes() // tensor.element_size())
        return made


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_no_temporary_of_the_size_of_the_patches(monkeypatch, grouping, dtype):
    monkeypatch.setattr(buffered, "ENTRIES", 1)
    big = case((4, 4, 40, 40), 5, padding=2, block=2, grouping=grouping)
    x, gradients = big.input(dtype), upstream(big, dtype)
    mean, _ = im2col(x, big.patches)
    largest = {}
    for algorithm, adjoint in ADJOINTS.items():
        with Largest() as mode:
            adjoint(x, mean, *gradients, big.patches)
        largest[algorithm] = mode.entries
    with Largest() as mode:
        patch_matrix(x, big.patches)
    assert mode.entries >= 25 * x.numel()
    # 40 pixels and margins of 4 at both sides
    surroundings = x.numel() * 48**2 // 40**2
    # one of four images
    assert largest[im2col] <= 25 * x.numel() // 4
    assert largest[shifted] <= surroundings
    assert largest[lagged] <= surroundings


AXES = [Axis(*numbers) for numbers in product((1, 4, 9), (1, 2, 3, 5), (1, 2, 3), (0, 1, 4), (1, 2, 3))]


@pytest.mark.parametrize("axis", [axis for axis in AXES if axis.outputs > 0], ids=str)
def test_reaches(axis):
    expected = {}
    for y, i in product(range(axis.outputs), range(axis.kernel)):
        r = axis.stride * y + axis.dilation * i - axis.padding
        if 0 <= r < axis.length:
            expected.setdefault(r, []).append(i)
    found = {r: list(reach.offsets) for reach in reaches(axis) for r in reach.positions}
    assert found == {r: sorted(offsets) for r, offsets in expected.items()}
    assert sum(len(reach.positions) for reach in reaches(axis)) == len(found)
