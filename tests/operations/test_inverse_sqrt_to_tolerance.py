"""Iterations until convergence: answers, statuses and steps."""

import pytest
import torch

from ndbench import inverse_sqrt, inverse_sqrt_to_tolerance
from ndbench.operations.roots import ITERATIVE
from ndbench.roots import Status
from tests.roots.spd import FIVE_FOUR, FIVE_FOUR_ROOT, batch, whitening_residual

every_iteration = pytest.mark.parametrize("method", ITERATIVE)


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3, 3), (0, 0), (4, 0, 0)])
def test_nothing_has_converged_at_once(shape):
    found = inverse_sqrt_to_tolerance(torch.empty(shape))
    assert found.D.shape == shape
    assert found.status.tolist() == found.steps.tolist() == torch.zeros(shape[:-2]).tolist()
    assert (found.status.dtype, found.steps.dtype, found.residual.dtype) == (torch.int64, torch.int64, torch.float64)
    assert found.residual.shape == shape[:-2]


@pytest.mark.parametrize("shape", [(), (2, 3)])
@every_iteration
def test_one_status_for_every_matrix_of_any_batch(method, shape):
    A = batch(3, 4.0, shape=shape)
    found = inverse_sqrt_to_tolerance(A, method=method)
    assert found.status.shape == found.steps.shape == found.residual.shape == shape
    assert set(found.status.flatten().tolist()) <= {Status.CONVERGED, Status.STAGNATED}
    assert whitening_residual(found.D, A) < 1e-12


@every_iteration
def test_converged(method):
    found = inverse_sqrt_to_tolerance(FIVE_FOUR, method=method, tolerance=1e-10)
    assert found.status == Status.CONVERGED
    assert found.residual <= 1e-10
    assert found.steps > 1
    torch.testing.assert_close(found.D, FIVE_FOUR_ROOT, rtol=0, atol=1e-10)


@every_iteration
def test_one_step_is_too_few(method):
    found = inverse_sqrt_to_tolerance(FIVE_FOUR, method=method, max_steps=1)
    assert (found.status, found.steps) == (Status.LIMIT, 1)
    one_step = inverse_sqrt(FIVE_FOUR, method=method, steps=1)
    torch.testing.assert_close(found.D, one_step, rtol=1e-14, atol=1e-15)


def test_stagnated_above_an_unreachable_tolerance():
    A = batch(16, 1e6, dtype=torch.float32, shape=())
    found = inverse_sqrt_to_tolerance(A)
    assert found.status == Status.STAGNATED
    # rounding holds the residual near 2 u sqrt(kappa)
    assert 2.0**-24 * 16 < found.residual < 100 * 2.0**-24 * 1e3


def test_the_identity_takes_no_step_where_nothing_is_scaled():
    found = inverse_sqrt_to_tolerance(torch.eye(3), method="denman_beavers")
    assert (found.status, found.steps, found.residual) == (Status.CONVERGED, 0, 0)


def test_a_matrix_is_not_held_up_by_a_harder_one():
    easy, hard = batch(6, 2.0, shape=()), batch(6, 1e6, shape=())
    together = inverse_sqrt_to_tolerance(torch.stack([easy, hard]), tolerance=1e-8)
    alone = inverse_sqrt_to_tolerance(easy, tolerance=1e-8)
    assert together.steps[0] == alone.steps < together.steps[1]
    torch.testing.assert_close(together.D[0], alone.D, rtol=1e-14, atol=1e-15)


@every_iteration
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_default_tolerance_is_that_of_the_type_computed_in(method, dtype):
    inverts = method.startswith("denman_beavers")
    computed_in = torch.float32 if inverts and dtype.itemsize == 2 else dtype
    A = torch.tensor([[1.25, 0.5], [0.5, 1.25]]).to(dtype)
    found = inverse_sqrt_to_tolerance(A, method=method)
    assert (found.D.dtype, found.residual.dtype) == (dtype, torch.float64)
    if found.status == Status.CONVERGED:
        assert found.residual <= (2 + 8) * torch.finfo(computed_in).eps / 2
    expected = inverse_sqrt(A.double(), method="spectral")
    torch.testing.assert_close(found.D.double(), expected, rtol=0, atol=16 * torch.finfo(dtype).eps)


@every_iteration
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_singular_matrix_never_gives_nan_in_silence(method, dtype):
    A = torch.ones(20, 20, dtype=dtype) / 20
    if method.startswith("denman_beavers"):
        with pytest.raises(ValueError, match="not positive definite"):
            inverse_sqrt_to_tolerance(A, method=method)
    else:
        found = inverse_sqrt_to_tolerance(A, method=method, max_steps=1200)
        assert found.D.isfinite().all()
        assert found.status != Status.CONVERGED
