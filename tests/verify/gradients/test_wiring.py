"""What gradcheck and gradgradcheck say, counted."""

import pytest
import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ndbench.verify.gradients.differentiation import NoGradient
from ndbench.verify.gradients.wiring import NoSecondDerivative, second_derivative, wiring

X = torch.tensor([0.5, 2.0], dtype=torch.float64)
MANY = torch.linspace(0.5, 2.0, 20, dtype=torch.float64)


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
    assert wiring(lambda x: x**3, X).measured == 0
    assert second_derivative(lambda x: x**3, X).measured == 0


def test_many_entries_are_projected():
    assert wiring(lambda x: x**3, MANY).measured == 0
    assert wiring(Doubled.apply, MANY).measured == 1
    assert second_derivative(lambda x: x**3, MANY).measured == 0
    assert second_derivative(Constant.apply, MANY).measured == 1


def test_second_derivatives_may_be_refused_aloud():
    assert wiring(Once.apply, X).measured == 0
    with pytest.raises(NoSecondDerivative, match="refuses second derivatives"):
        second_derivative(Once.apply, X)


def test_a_wrong_second_derivative_fails():
    assert wiring(Constant.apply, X).measured == 0
    assert second_derivative(Constant.apply, X).measured == 1


def test_a_wrong_gradient_fails():
    assert "Jacobian" in wiring(Doubled.apply, X).evidence["complaint"]


@pytest.mark.parametrize("rung", [wiring, second_derivative])
def test_no_gradient_is_not_run(rung):
    with pytest.raises(NoGradient, match="carries no gradient"):
        rung(lambda x: x.detach() ** 2, X)
