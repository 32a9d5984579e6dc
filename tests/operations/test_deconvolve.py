import pytest
import torch
from torch.nn import functional

from ndbench.operations.covariance import patch_covariance
from ndbench.operations.deconvolution import deconvolve


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def whitened_rows(x, kernel, mean, D, *, block, grouping="channel"):
    """All patches (N L, C K) with each block replaced by (block - mean) D, one block after the other."""
    rows = functional.unfold(x, kernel).mT.flatten(0, 1)
    groups = x.shape[1] // block
    out = torch.empty_like(rows)
    for g in range(groups):
        width = rows.shape[1] // groups
        columns = slice(g, None, groups) if grouping == "interleaved" else slice(g * width, (g + 1) * width)
        mean_g, D_g = (mean, D) if D.ndim == 2 else (mean[g], D[g])
        out[:, columns] = (rows[:, columns] - mean_g) @ D_g
    return out


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize(
    ("grouping", "block"), [("channel", 6), ("channel", 2), ("channel", 1), ("interleaved", 2), ("interleaved", 1)]
)
@pytest.mark.parametrize("kernel", [(1, 1), (3, 2)], ids=str)
def test_convolution_of_whitened_patches(kernel, grouping, block, pooled, with_bias):
    K, groups = kernel[0] * kernel[1], 6 // block
    x, weight, bias = random(2, 6, 5, 4), random(4, 6, *kernel, seed=1), random(4, seed=2) if with_bias else None
    F = block * K
    mean, D = random(F, seed=3), random(F, F, seed=4)
    if not pooled:
        mean, D = random(groups, F, seed=3), random(groups, F, F, seed=4)
    expected = whitened_rows(x, kernel, mean, D, block=block, grouping=grouping) @ weight.flatten(1).T
    folded, new_bias = deconvolve(weight, bias, mean, D, grouping=grouping)
    assert folded.shape == weight.shape
    found = functional.conv2d(x, folded, new_bias).movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(found, expected if bias is None else expected + bias, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("block", [1, 2, 4])
def test_grouped_convolution(block, pooled):
    x, weight, bias = random(2, 8, 5, 4), random(6, 4, 2, 2, seed=1), random(6, seed=2)
    F, blocks = 4 * block, 8 // block
    shape = (F,) if pooled else (blocks, F)
    mean, D = random(*shape, seed=3), random(*shape, F, seed=4)
    rows = whitened_rows(x, 2, mean, D, block=block)
    halves = [rows[:, :16] @ weight[:3].flatten(1).T, rows[:, 16:] @ weight[3:].flatten(1).T]
    folded, new_bias = deconvolve(weight, bias, mean, D)
    found = functional.conv2d(x, folded, new_bias, groups=2).movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(found, torch.cat(halves, 1) + bias, rtol=1e-11, atol=1e-11)


def test_depthwise_convolution():
    x, weight, mean, D = random(2, 3, 4, 4), random(3, 1, 2, 2, seed=1), random(3, 4, seed=2), random(3, 4, 4, seed=3)
    rows = whitened_rows(x, 2, mean, D, block=1).unflatten(1, (3, 4))
    folded, bias = deconvolve(weight, None, mean, D)
    found = functional.conv2d(x, folded, bias, groups=3).movedim(1, -1).flatten(0, 2)
    torch.testing.assert_close(found, (rows * weight.flatten(1)).sum(-1), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
def test_linear_layer(grouping):
    x, weight, bias = random(5, 6), random(4, 6, seed=1), random(4, seed=2)
    mean, D = random(2, 3, seed=3), random(2, 3, 3, seed=4)
    rows = whitened_rows(x[:, :, None, None], 1, mean, D, block=3, grouping=grouping)
    folded, new_bias = deconvolve(weight, bias, mean, D, grouping=grouping)
    torch.testing.assert_close(
        functional.linear(x, folded, new_bias), functional.linear(rows, weight, bias), rtol=1e-12, atol=1e-12
    )


def test_by_hand():
    # (p - 1) 3 . 2 + 5 = 6 p - 1
    weight, bias = deconvolve(*(torch.tensor(v) for v in ([[2.0]], [5.0], [1.0], [[3.0]])))
    assert weight.tolist() == [[6]]
    assert bias.tolist() == [-1]


def test_whitening_multiplies_from_the_right():
    # (p1, p2) D = (p1, p2 + 10 p1), of which the weight takes the second
    D = torch.tensor([[1.0, 10.0], [0.0, 1.0]])
    weight, _ = deconvolve(torch.tensor([[0.0, 1.0]]), None, torch.zeros(2), D)
    assert weight.tolist() == [[10, 1]]


def test_whitened_patches_are_white():
    x = random(4, 2, 8, 8) + random(4, 1, 8, 8, seed=1)
    mean, cov = patch_covariance(x, 2)
    values, vectors = torch.linalg.eigh(cov)
    D = vectors @ torch.diag(values**-0.5) @ vectors.T
    y = functional.conv2d(x, *deconvolve(torch.eye(8, dtype=x.dtype).view(8, 2, 2, 2), None, mean, D))
    mean, cov = patch_covariance(y, 1)
    torch.testing.assert_close(cov, torch.eye(8, dtype=x.dtype), rtol=0, atol=1e-12)
    torch.testing.assert_close(mean, torch.zeros(8, dtype=x.dtype), rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_rounded_once(dtype):
    arguments = [random(*s, seed=i, dtype=dtype) for i, s in enumerate([(4, 8, 3, 3), (4,), (72,), (72, 72)])]
    weight, bias = deconvolve(*arguments)
    expected_weight, expected_bias = deconvolve(*(a.double() for a in arguments))
    assert weight.dtype == bias.dtype == dtype
    u = torch.finfo(dtype).eps / 2
    torch.testing.assert_close(weight.double(), expected_weight, rtol=1.001 * u, atol=1e-4)
    torch.testing.assert_close(bias.double(), expected_bias, rtol=1.001 * u, atol=1e-3)


def test_gradient_reaches_every_argument():
    arguments = [random(*s, seed=i).requires_grad_() for i, s in enumerate([(2, 2, 2, 1), (2,), (2, 2), (2, 2, 2)])]
    assert torch.autograd.gradcheck(deconvolve, arguments)


WEIGHT, BIAS, MEAN, D = random(4, 2, 3, 3), random(4), random(18), random(18, 18)


@pytest.mark.parametrize(
    ("arguments", "grouping", "error", "message"),
    [
        ((WEIGHT.long(), BIAS, MEAN, D), "channel", TypeError, "weight must be a real .* got torch.int64; convert"),
        ((WEIGHT, None, MEAN, D * 1j), "channel", TypeError, "D must be a real .* got torch.complex128"),
        ((WEIGHT, BIAS, MEAN, None), "channel", TypeError, "D must be a real .* got NoneType"),
        ((WEIGHT, BIAS, MEAN, D.float()), "channel", TypeError, "D must have the weight's type .* got torch.float32"),
        (
            (WEIGHT, BIAS, MEAN.to("meta"), D),
            "channel",
            ValueError,
            "mean must be on the weight's device cpu; got meta",
        ),
        ((WEIGHT, BIAS, MEAN, D), "other", ValueError, "grouping must be one of channel, interleaved; got 'other'"),
        ((WEIGHT[0], BIAS, MEAN, D), "channel", ValueError, r"weight must have shape .* got \(2, 3, 3\)"),
        ((WEIGHT[:0], BIAS, MEAN, D), "channel", ValueError, r"weight must have shape .* got \(0, 2, 3, 3\)"),
        ((WEIGHT, BIAS[:3], MEAN, D), "channel", ValueError, r"bias must have shape \(4,\).* got \(3,\)"),
        ((WEIGHT, BIAS, MEAN, D[:9]), "channel", ValueError, r"D must have shape .* got \(9, 18\)"),
        ((WEIGHT, BIAS, MEAN, D[0]), "channel", ValueError, r"D must have shape .* got \(18,\)"),
        ((WEIGHT, BIAS, MEAN[:9], D), "channel", ValueError, r"mean must have shape \(18,\) .* got \(9,\)"),
        ((WEIGHT, BIAS, MEAN[None], D), "channel", ValueError, r"mean must have shape \(18,\) .* got \(1, 18\)"),
        ((WEIGHT, None, MEAN[:6], D[:6, :6]), "channel", ValueError, "multiple of the kernel's 9 pixels .* got 6"),
        ((WEIGHT[:, :1], None, MEAN, D), "channel", ValueError, "divide the 9 columns .* got 18"),
        ((WEIGHT, None, random(3, 9), random(3, 9, 9)), "channel", ValueError, "the 3 blocks of order 9 must make up"),
        ((WEIGHT, None, random(1, 9), random(1, 9, 9)), "channel", ValueError, "the 1 blocks of order 9 must make up"),
        ((WEIGHT, None, random(3, 18), random(3, 18, 18)), "channel", ValueError, "must divide the 4 outputs"),
        (
            (WEIGHT, None, random(2, 18), random(2, 18, 18)),
            "interleaved",
            ValueError,
            'interleaved .* cannot be folded into a convolution of 2 groups; use grouping="channel"',
        ),
    ],
)
def test_refused(arguments, grouping, error, message):
    with pytest.raises(error, match="deconvolve: .*" + message):
        deconvolve(*arguments, grouping=grouping)
