import pytest
import torch

from ndbench.covariance import Patches, im2col, lagged
from ndbench.operations import covariance
from ndbench.operations.covariance import patch_covariance


def image(*shape, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).to(dtype)


@pytest.mark.parametrize("algorithm", ["auto", "im2col", "shifted", "lagged", "windows"])
@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
def test_every_algorithm_with_every_option(algorithm, pooled, grouping):
    x = image(2, 6, 7, 8)
    options = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "block": 2, "pooled": pooled, "grouping": grouping}
    mean, cov = patch_covariance(x, (3, 2), eps=0.25, algorithm=algorithm, **options)
    expected_mean, expected_cov = im2col(x, Patches.of((3, 2), **options))
    torch.testing.assert_close(mean, expected_mean, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(cov, expected_cov + torch.eye(12, dtype=x.dtype) / 4, rtol=1e-12, atol=1e-12)


def test_the_covariance_of_numpy():
    x = image(3, 2, 5, 5)
    rows = torch.nn.functional.unfold(x, 2).movedim(1, 0).flatten(1)
    _, cov = patch_covariance(x, 2)
    torch.testing.assert_close(cov, torch.cov(rows, correction=0), rtol=1e-12, atol=1e-12)


def test_a_grouped_convolution_is_two_convolutions():
    x = image(2, 4, 5, 5)
    mean, cov = patch_covariance(x, 3, block=2, pooled=False)
    for g in range(2):
        part_mean, part_cov = patch_covariance(x[:, 2 * g : 2 * g + 2], 3)
        torch.testing.assert_close(mean[g], part_mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(cov[g], part_cov, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("algorithm", ["im2col", "shifted", "lagged", "windows"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_types_are_rounded_once(algorithm, dtype):
    x = image(2, 2, 6, 6, dtype=dtype) + 4
    mean, cov = patch_covariance(x, 3, padding=1, algorithm=algorithm, eps=1e-3)
    expected_mean, expected_cov = patch_covariance(x.double(), 3, padding=1, algorithm="im2col", eps=1e-3)
    assert mean.dtype == cov.dtype == dtype
    u = torch.finfo(dtype).eps / 2
    # once: half a unit in the last place, and a little for float32
    torch.testing.assert_close(mean.double(), expected_mean, rtol=1.001 * u, atol=0)
    torch.testing.assert_close(cov.double(), expected_cov, rtol=1.001 * u, atol=1e-5)


def test_auto_takes_the_chosen_algorithm(monkeypatch):
    taken = []
    for name, algorithm in (("im2col", im2col), ("lagged", lagged)):
        monkeypatch.setitem(
            covariance.ALGORITHMS, name, lambda x, p, name=name, run=algorithm: taken.append(name) or run(x, p)
        )
    patch_covariance(image(16, 16, 32, 32), 3, padding=1)
    patch_covariance(image(1, 1, 5, 5), 3)
    assert taken == ["lagged", "im2col"]


def test_gradient_passes_through():
    x = image(2, 2, 4, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: patch_covariance(x, 2, padding=1, eps=1.0, algorithm="lagged"), x)


def test_infinity_passes_where_checking_would_synchronize():
    x = torch.empty(2, 2, 4, 4, device="meta")
    covariance.check(x, Patches.of(3))


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (image(1, 1, 3, 3).long(), {}, TypeError, "x must be a real floating-point tensor .* got torch.int64; convert"),
        (image(1, 1, 3, 3) * 1j, {}, TypeError, "x must be a real floating-point tensor .* got torch.complex128"),
        ([1.0], {}, TypeError, "x must be a real floating-point tensor .* got list"),
        (image(1, 3, 3), {}, ValueError, r"x must have shape \(N, C, H, W\)"),
        (image(0, 1, 3, 3), {}, ValueError, "x must not be empty"),
        (image(1, 3, 3, 3), {"block": 2}, ValueError, "block must divide the channels"),
        (image(1, 1, 1, 3), {}, ValueError, "must fit into the padded image"),
        (image(1, 1, 3, 3), {"eps": -1e-5}, ValueError, "eps must be finite and not negative; got -1e-05"),
        (image(1, 1, 3, 3), {"eps": float("nan")}, ValueError, "eps must be finite and not negative; got nan"),
        (image(1, 1, 3, 3), {"algorithm": "fft"}, ValueError, "algorithm must be auto or one of im2col, .*; got 'fft'"),
        (
            image(1, 1, 3, 3),
            {"backend": "numpy"},
            ValueError,
            "backend must be one of auto, torch, triton; got 'numpy'",
        ),
        (
            image(1, 1, 3, 3),
            {"backend": "triton", "algorithm": "windows"},
            NotImplementedError,
            "there is no Triton kernel for algorithm 'windows', only for im2col and lagged; use backend='torch'",
        ),
        (
            image(1, 1, 3, 3),
            {"backend": "triton", "adjoint": "autograd"},
            NotImplementedError,
            "Triton kernels have an adjoint of their own, .*; got 'autograd'; use backend='torch'",
        ),
        (
            image(1, 1, 3, 3),
            {"precision": "tf32"},
            ValueError,
            "precision='tf32' chooses the products of Triton kernels",
        ),
        (image(1, 1, 3, 3) / 0, {}, ValueError, "x must be finite; got 9 NaN or infinite values of 9"),
    ],
)
def test_refused(x, options, error, message):
    with pytest.raises(error, match="patch_covariance: .*" + message):
        patch_covariance(x, 2, **options)
