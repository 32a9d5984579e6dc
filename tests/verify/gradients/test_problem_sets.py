"""The quick tier poses every kind of problem that gradients are judged on."""

import torch

from ndbench.covariance_problems import pair
from ndbench.problems import ActivationProblem, MatrixProblem, PhotographProblem
from ndbench.targets import ITERATIONS
from ndbench.verify.gradients.problem_sets import FULL, QUICK


def test_conditions_and_upstream_gradients():
    planted = [p for p in QUICK.closed_form if isinstance(p.matrices, MatrixProblem)]
    assert {10.0, 1e2, 1e4, 1e6} <= {p.matrices.condition for p in planted if p.dtype == torch.float64}
    assert {p.dtype for p in planted} == {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    assert {p.symmetric for p in planted} == {True, False}


def test_real_covariances():
    assert {PhotographProblem, ActivationProblem} <= {type(p.matrices) for p in QUICK.closed_form}


def test_identity_and_repeated_eigenvalues():
    assert {p.matrices.matrix for p in QUICK.repeated} == {"identity", "repeated"}
    assert {p.n for p in QUICK.repeated if p.matrices.matrix == "identity"} == {1, 2, 3, 4, 8, 12}
    assert {p.dtype for p in QUICK.repeated} == {torch.float64, torch.float32}


def test_orders_and_scales():
    assert max(p.n for p in QUICK.closed_form if p.dtype == torch.float32) == 128
    assert max(p.n for p in QUICK.closed_form if p.dtype == torch.float64) == 20
    assert {p.matrices.exponent for p in QUICK.closed_form if isinstance(p.matrices, MatrixProblem)} >= {-40, 40, -24}


def test_differences_of_layers_at_every_kernel_block_and_t():
    images = [p.images for p in QUICK.double_layers]
    assert {i.kernel_size for i in images} >= {1, 3, 5}
    assert {i.block for i in images} >= {4, 16, 64}
    assert {p.steps for p in QUICK.double_layers} >= {1, 5, 15, None}


def test_ways_that_meet():
    assert [p for p in QUICK.layers if p.images.stride != 1 and p.images.dilation != 1]
    assert [p for p in QUICK.layers if p.groups > 1 and p.images.kernel_size != 3]
    assert [p for p in QUICK.layers if not p.images.pooled and (p.images.block or 0) > 4]
    assert [p for p in QUICK.layers if p.method != "newton_schulz" and p.steps != 5]
    assert [p for p in QUICK.layers if p.images.N > 3]


def test_linear_layers_are_convolutions_by_one_pixel():
    assert {p.images.kernel_size for p in QUICK.pointwise} == {1}
    assert {p.dtype for p in QUICK.pointwise} >= {torch.float64, torch.float32}


def test_geometries_of_patches():
    images = [p.images for p in QUICK.patches]
    for field in ("stride", "padding", "dilation"):
        assert len({pair(getattr(i, field)) for i in images}) > 2
    assert {(i.pooled, i.grouping) for i in images} == {
        (p, g) for p in (True, False) for g in ("channel", "interleaved")
    }


def test_layers():
    images = [p.images for p in QUICK.layers]
    assert {i.kernel_size for i in images} >= {1, 3, 5}
    assert {i.block for i in images} >= {4, 16, 64}
    assert {p.steps for p in QUICK.layers} >= {1, 5, 15, None}
    assert {p.groups for p in QUICK.layers} == {1, 2, 4}
    assert {p.dtype for p in QUICK.layers} == {torch.float64, torch.float32, torch.float16, torch.bfloat16}
    assert {p.order for p in QUICK.layers} >= {400, 576}
    assert {p.method for p in QUICK.layers} == set(ITERATIONS) - {"denman_beavers_plain"}
    assert {(i.pooled, i.grouping) for i in images} == {
        (p, g) for p in (True, False) for g in ("channel", "interleaved")
    }
    for field in ("stride", "padding", "dilation"):
        assert len({pair(getattr(i, field)) for i in images}) > 1


def test_differences_are_taken_in_float64():
    for name in ("conditions", "small", "double_patches", "few_pixels", "double_layers", "small_layers"):
        assert {p.dtype for p in getattr(QUICK, name)} == {torch.float64}


def test_the_full_tier_holds_the_quick_one_and_large_layers():
    for name in ("closed_form", "repeated", "patches", "layers"):
        assert set(getattr(QUICK, name)) <= set(getattr(FULL, name))
    assert max(p.images.block * pair(p.images.kernel_size)[0] ** 2 for p in FULL.layers) == 1600
