import numpy as np
import pytest
import torch

from ndbench.covariance_problems import CovarianceProblem, DeconvolutionProblem
from ndbench.images import photograph
from ndbench.operations import patch_covariance

KINDS = ["normal", "integers", "offset", "coded", "photograph:astronaut", "photograph:camera", "relu:coffee"]


@pytest.mark.parametrize("data", KINDS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_images_have_the_shape_and_type_and_are_the_same_each_time(data, dtype):
    problem = CovarianceProblem(2, 4, 7, 6, data=data, dtype=dtype)
    x = problem.x()
    assert (x.shape, x.dtype) == ((2, 4, 7, 6), dtype)
    assert torch.equal(x, problem.x())
    assert x.std() > 0


def test_another_seed_draws_other_images():
    assert not torch.equal(CovarianceProblem(seed=0).x(), CovarianceProblem(seed=1).x())


def test_photographs_are_crops_of_their_pixels():
    x = CovarianceProblem(1, 3, 5, 4, data="photograph:astronaut").x()[0].numpy()
    windows = np.lib.stride_tricks.sliding_window_view(photograph("astronaut"), (3, 5, 4))
    assert (windows == x).all(axis=(3, 4, 5)).any()


def test_offset_data_has_another_large_mean_in_every_channel():
    means = CovarianceProblem(8, 3, 20, 20, data="offset").x().mean((0, 2, 3))
    np.testing.assert_allclose(means, [1000, 1250, 1500], atol=1)


def test_coded_pixels_all_differ_in_the_mean_of_two_images():
    x = CovarianceProblem(2, 3, 4, 5, data="coded").x()
    assert x.mean(0).flatten().tolist() == list(range(60))


def test_relu_activations_are_positive_with_means_above_their_deviations():
    x = CovarianceProblem(4, 8, 24, 24, data="relu:coffee").x()
    assert x.min() >= 0
    assert (x.mean((0, 2, 3)) > x.std((0, 2, 3))).float().mean() > 0.5


def test_names_tell_what_differs():
    problem = CovarianceProblem(stride=(1, 2), padding=1, block=2, pooled=False, grouping="interleaved", eps=1e-5)
    assert problem.name == "normal-3x4x11x10-k3-stride1x2-pad1-block2-separate-interleaved-eps1e-05-float32-s0"
    grouped = DeconvolutionProblem(kernel_size=None, groups=2, block=2, pooled=False, biased=False)
    assert grouped.name == "linear-c8-o6-block2-groups2-separate-unbiased-float32-s0"


def test_arguments_are_keywords_of_patch_covariance():
    mean, cov = patch_covariance(CovarianceProblem().x(), **CovarianceProblem().arguments())
    assert (mean.shape, cov.shape) == ((36,), (36, 36))


def test_unknown_data_are_refused():
    with pytest.raises(ValueError, match=r"data must be one of normal, .*; got 'noise'"):
        CovarianceProblem(data="noise")


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize(("kernel", "shape"), [(3, (6, 4, 3, 3)), ((1, 2), (6, 4, 1, 2)), (None, (6, 4))])
def test_shapes_of_a_deconvolution(kernel, shape, pooled):
    problem = DeconvolutionProblem(kernel_size=kernel, groups=2, block=2, pooled=pooled)
    F = 2 * int(np.prod(shape[2:]))
    lead = () if pooled else (4,)
    assert problem.weight().shape == shape
    assert problem.mean().shape == (*lead, F)
    assert problem.matrix().shape == (*lead, F, F)
    assert problem.patches().shape == (16, 4 * F)
    assert not torch.equal(problem.matrix(), problem.matrix().mT)


def test_a_bias_may_be_missing():
    assert DeconvolutionProblem(biased=False).bias() is None
    assert DeconvolutionProblem().bias().shape == (6,)
