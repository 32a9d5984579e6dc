"""What every iteration must do, whatever its recurrence."""

from functools import partial
from itertools import islice

import pytest
import torch

from ndbench import roots
from ndbench.roots.coefficients import schedule
from tests.roots.spd import FIVE_FOUR, FIVE_FOUR_ROOT, batch, whitening_residual

FIXED = {
    "newton_schulz": roots.newton_schulz,
    "denman_beavers": partial(roots.denman_beavers, scaled_steps=0),
    "denman_beavers_scaled": lambda A, steps: roots.denman_beavers(A, steps, scaled_steps=steps),
    "denman_beavers_plain": roots.denman_beavers_plain,
    "minimax_cubic": partial(roots.minimax, lower=1e-4, degree=3),
    "minimax_quintic": partial(roots.minimax, lower=1e-4, degree=5),
}
ITERATES = {
    "newton_schulz": roots.newton_schulz_iterates,
    "denman_beavers_scaled": roots.denman_beavers_iterates,
    "denman_beavers_plain": roots.denman_beavers_plain_iterates,
    "minimax_cubic": partial(roots.minimax_iterates, lower=1e-4, degree=3),
    "minimax_quintic": partial(roots.minimax_iterates, lower=1e-4, degree=5),
}


@pytest.mark.parametrize("name", FIXED)
def test_converges_to_the_worked_example(name):
    torch.testing.assert_close(FIXED[name](FIVE_FOUR, steps=40), FIVE_FOUR_ROOT, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", FIXED)
def test_whitens_every_matrix_of_a_batch_of_any_shape(name):
    A = batch(12, 1e3, shape=(2, 3))
    X = FIXED[name](A, steps=40)
    assert X.shape == A.shape
    assert whitening_residual(X, A) < 1e-10


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_keeps_the_type(name, dtype):
    X = FIXED[name](FIVE_FOUR.to(dtype), steps=12)
    assert X.dtype == dtype
    torch.testing.assert_close(X.double(), FIVE_FOUR_ROOT, rtol=0, atol=8 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("name", ITERATES)
@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_iterates_are_the_fixed_step_maps(name, steps):
    A = batch(8, 100.0)
    X, _ = next(islice(ITERATES[name](A), steps, None))
    torch.testing.assert_close(X, FIXED[name](A, steps=steps), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", ITERATES)
def test_second_iterate_tends_to_the_identity(name):
    A = batch(8, 100.0)
    _, P = next(islice(ITERATES[name](A), 30, None))
    torch.testing.assert_close(P, torch.eye(8, dtype=A.dtype).expand_as(P), rtol=0, atol=1e-13)


def test_newton_schulz_first_step_is_the_printed_one():
    # T = 1: Z_1 = (3 I - A / c) / 2 / sqrt(c)
    c = FIVE_FOUR.norm()
    expected = (3 * torch.eye(2, dtype=torch.float64) - FIVE_FOUR / c) / 2 / c.sqrt()
    torch.testing.assert_close(roots.newton_schulz(FIVE_FOUR, 1), expected)


@pytest.mark.parametrize(("steps", "products"), [(1, 0), (2, 3), (5, 12), (15, 42)])
def test_newton_schulz_takes_three_fewer_than_3t_products(steps, products, monkeypatch):
    taken = count_products(monkeypatch)
    roots.newton_schulz(batch(4, 10.0), steps)
    assert len(taken) == products


def test_quintic_takes_one_more_product_a_step(monkeypatch):
    taken = count_products(monkeypatch)
    roots.minimax(batch(4, 10.0), 5, 1e-4, degree=5)
    # the first P = A / c costs nothing, its square does
    assert len(taken) == 3 * 5 - 3 + 5


def test_newton_schulz_is_the_cubic_in_the_limit():
    A = batch(6, 1.5)
    assert len(schedule(1.0, 3)) < 8
    late = list(islice(roots.minimax_iterates(A, 1.0, 3), 40))[-1][0]
    torch.testing.assert_close(late, list(islice(roots.newton_schulz_iterates(A), 40))[-1][0])


def test_scaling_by_a_power_of_four_is_exact_for_polynomial_iterations():
    A = batch(12, 1e4, torch.float32)
    for name in ("newton_schulz", "minimax_cubic", "minimax_quintic"):
        assert torch.equal(FIXED[name](A * 4.0**5, steps=5), FIXED[name](A, steps=5) / 2.0**5)


def test_determinantal_scaling_saves_steps_on_a_badly_scaled_matrix():
    A = batch(8, 1e4) * 1e6
    scaled = whitening_residual(roots.denman_beavers(A, 8, scaled_steps=8), A)
    plain = whitening_residual(roots.denman_beavers(A, 8, scaled_steps=0), A)
    assert scaled < 1e-8
    assert plain > 1


def test_iterations_are_differentiable_by_plain_autograd():
    A = batch(4, 5.0).requires_grad_()
    for name, function in FIXED.items():
        assert torch.autograd.gradcheck(lambda S, f=function: f((S + S.mT) / 2, steps=3), A), name


def count_products(monkeypatch):
    taken = []
    matmul = torch.Tensor.__matmul__
    monkeypatch.setattr(torch.Tensor, "__matmul__", lambda a, b: taken.append(a.shape) or matmul(a, b))
    return taken
