"""The answers of the public inverse square root, and what it leaves alone."""

import pytest
import torch

import ndbench
from ndbench import inverse_sqrt, inverse_sqrt_to_tolerance, roots
from ndbench.operations.roots import METHODS
from tests.operations.bad_matrices import NOT_A_NUMBER
from tests.roots.spd import FIVE_FOUR, FIVE_FOUR_ROOT, batch, whitening_residual

DIFFERENTIABLE = tuple(method for method in METHODS if not method.startswith("scipy"))
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]

every_method = pytest.mark.parametrize("method", METHODS)
every_differentiable_method = pytest.mark.parametrize("method", DIFFERENTIABLE)


def test_the_package_exports_both():
    assert ndbench.inverse_sqrt is inverse_sqrt
    assert ndbench.inverse_sqrt_to_tolerance is inverse_sqrt_to_tolerance


@pytest.mark.parametrize("exponent", [-700, -500, 500, 700])
def test_the_size_of_a_matrix_is_no_fault(exponent):
    # beyond 2^512 the squares in the norm overflow, below 2^-537 they underflow
    found = inverse_sqrt(FIVE_FOUR * 2.0**exponent, method="spectral")
    torch.testing.assert_close(found * 2.0 ** (exponent / 2), FIVE_FOUR_ROOT, rtol=1e-14, atol=0)


@every_method
def test_auto_is_torch(method):
    assert torch.equal(
        inverse_sqrt(FIVE_FOUR, method=method, backend="torch"), inverse_sqrt(FIVE_FOUR, method=method, backend="auto")
    )


@every_method
@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3, 3), (0, 0), (4, 0, 0)])
def test_empty(method, shape):
    A = torch.empty(shape)
    found = inverse_sqrt(A, method=method)
    assert (found.shape, found.dtype) == (A.shape, A.dtype)


@every_method
@pytest.mark.parametrize("dtype", TYPES)
def test_order_one(method, dtype):
    steps = 30 if method.startswith("denman_beavers") else 12
    found = inverse_sqrt(torch.full((2, 1, 1), 16.0, dtype=dtype), method=method, steps=steps)
    torch.testing.assert_close(found, torch.full_like(found, 0.25), rtol=8 * torch.finfo(dtype).eps, atol=0)


@every_method
def test_check_changes_no_answer(method):
    A = batch(5, 10.0)
    assert torch.equal(inverse_sqrt(A, method=method), inverse_sqrt(A, method=method, check=False))


def test_five_newton_schulz_steps_are_the_default():
    assert torch.equal(inverse_sqrt(FIVE_FOUR), roots.newton_schulz(FIVE_FOUR, 5))


def test_every_step_is_scaled_by_default():
    A = batch(4, 1e4) * 1e3
    found = inverse_sqrt(A, method="denman_beavers", steps=3)
    assert torch.equal(found, inverse_sqrt(A, method="denman_beavers", steps=3, scaled_steps=3))
    assert not torch.equal(found, inverse_sqrt(A, method="denman_beavers", steps=3, scaled_steps=2))


@pytest.mark.parametrize(("method", "degree"), [("minimax_cubic", 3), ("minimax_quintic", 5)])
def test_steps_and_lower_reach_the_iteration(method, degree):
    A = batch(4, 100.0)
    assert torch.equal(inverse_sqrt(A, method=method), roots.minimax(A, 5, 1e-4, degree))
    assert torch.equal(inverse_sqrt(A, method=method, steps=3, lower=0.1), roots.minimax(A, 3, 0.1, degree))


@every_method
@pytest.mark.parametrize("shape", [(), (1,), (2, 3), (2, 1, 2)])
def test_any_leading_dimensions(method, shape):
    A = batch(3, 4.0, shape=shape)
    found = inverse_sqrt(A, method=method, steps=25)
    assert found.shape == A.shape
    assert whitening_residual(found, A) < 1e-12
    flat = inverse_sqrt(A.reshape(-1, 3, 3), method=method, steps=25)
    torch.testing.assert_close(found, flat.reshape(A.shape), rtol=1e-12, atol=1e-14)


@every_differentiable_method
@pytest.mark.parametrize("check", [True, False])
def test_the_gradient_flows(method, check):
    A = batch(3, 3.0, shape=(2,)).requires_grad_()
    assert torch.autograd.gradcheck(lambda S: inverse_sqrt((S + S.mT) / 2, method=method, steps=3, check=check), A)


@every_differentiable_method
def test_a_bad_matrix_leaves_the_gradient_of_the_others_alone(method):
    A = torch.stack([batch(3, 3.0)[0], -torch.eye(3, dtype=torch.float64)]).requires_grad_()
    inverse_sqrt(A, method=method, check=False)[0].sum().backward()
    alone = A.detach()[:1].requires_grad_()
    inverse_sqrt(alone, method=method).sum().backward()
    torch.testing.assert_close(A.grad[0], alone.grad[0], rtol=1e-13, atol=1e-13)
    assert (A.grad[1] == 0).all()


@every_method
def test_the_input_is_left_alone(method):
    A = torch.stack([FIVE_FOUR, NOT_A_NUMBER])
    before = A.clone()
    inverse_sqrt(A, method=method, check=False)
    assert torch.equal(A[0], before[0])
    assert A[1].isnan().tolist() == before[1].isnan().tolist()


def test_a_checked_matrix_is_not_copied(monkeypatch):
    seen = []
    monkeypatch.setattr(roots, "denman_beavers_plain", lambda A, steps: seen.append(A) or A.clone())
    inverse_sqrt(FIVE_FOUR, method="denman_beavers_plain")
    assert seen[0] is FIVE_FOUR


@pytest.mark.parametrize(("size", "dtype"), [(1e200, torch.float64), (1e-200, torch.float64), (1e-36, torch.float32)])
def test_sizes_whose_squares_overflow_or_underflow(size, dtype):
    A = torch.eye(2, dtype=dtype) * size
    expected = torch.eye(2, dtype=dtype) * size**-0.5
    torch.testing.assert_close(inverse_sqrt(A, steps=30), expected)
