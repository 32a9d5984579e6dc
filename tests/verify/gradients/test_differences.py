"""Rungs without an oracle, on functions whose derivatives are known."""

import numpy as np
import pytest
import torch
from torch.autograd import Function

from ndbench.verify.gradients.differences import best_difference, remainder_slope, transposed
from ndbench.verify.gradients.differentiation import NoForwardMode
from ndbench.verify.gradients.phi import Phi

X = torch.tensor(np.random.default_rng(0).standard_normal((3, 5)))
ONE = torch.ones(3, dtype=torch.float64)


def cubes(x):
    return x**3 + x


class Wrong(Function):
    """The cubes with a gradient that is off by one part in a thousand."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return cubes(x)

    @staticmethod
    def backward(ctx, G):
        (x,) = ctx.saved_tensors
        return 1.001 * G * (3 * x**2 + 1)


def phi(function, x=X):
    return Phi(function, x, (torch.ones_like(x),), each=1)


def test_central_differences_reach_their_floor():
    assert (best_difference(phi(cubes), ONE) < 1e-9).all()


def test_a_gradient_off_by_a_thousandth_is_measured_as_that():
    # three random directions estimate a norm within a factor of a few
    found = best_difference(phi(Wrong.apply), ONE)
    assert (found > 1e-4).all()
    assert (found < 1e-2).all()


def test_the_remainder_of_a_right_gradient_is_quadratic():
    np.testing.assert_allclose(remainder_slope(phi(cubes), ONE), 2, atol=0.05)


def test_the_remainder_of_a_wrong_gradient_is_not():
    # at small steps the wrong slope outweighs the curvature
    assert (remainder_slope(phi(Wrong.apply), ONE) < 1.9).all()


def test_forward_mode_is_the_transpose():
    assert (transposed(phi(cubes)) < 1e-15).all()


def test_no_forward_mode_is_said():
    with pytest.raises(NoForwardMode, match="refuses forward mode"):
        transposed(phi(Wrong.apply))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e3])
def test_differences_scale_with_the_input(size):
    # a homogeneous function, so that the problem is the same at every size
    assert (best_difference(phi(lambda x: x**3, size * X), ONE) < 1e-9).all()
