"""What gradcheck and gradgradcheck say, counted."""

import pytest
import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ndbench.verify.gradients.wiring import wiring
from ndbench.verify.verdict import NotRun

X = torch.tensor([0.5, 2.0], dtype=torch.float64)


class Once(Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x**2

    @staticmethod
    @once_differentiable
    def backward(ctx, G):
        return 2 * ctx.saved_tensors[0] * G


class Constant(Once):
    """A gradient that forgets that it depends on x."""

    @staticmethod
    def backward(ctx, G):
        return 2 * ctx.saved_tensors[0].detach() * G


class Doubled(Once):
    @staticmethod
    def backward(ctx, G):
        return 4 * ctx.saved_tensors[0] * G


def test_a_right_function_fails_nothing():
    found = wiring(lambda x: x**3, X)
    assert (found.measured, found.evidence["second derivatives"]) == (0, "given")


def test_second_derivatives_may_be_refused_aloud():
    found = wiring(Once.apply, X)
    assert found.measured == 0
    assert found.evidence["second derivatives"].startswith("refused: ")


def test_a_wrong_second_derivative_is_one_failure():
    found = wiring(Constant.apply, X)
    assert found.measured == 1
    assert "gradgradcheck" in found.evidence


def test_a_wrong_gradient_fails():
    assert "gradcheck" in wiring(Doubled.apply, X).evidence


def test_no_gradient_is_not_run():
    with pytest.raises(NotRun, match="carries no gradient"):
        wiring(lambda x: x.detach() ** 2, X)
