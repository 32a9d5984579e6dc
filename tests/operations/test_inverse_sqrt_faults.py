"""Matrices at fault: refused by name, or NaN in exactly these."""

import pytest
import torch

from ndbench import inverse_sqrt, inverse_sqrt_to_tolerance
from ndbench.operations.definite import faults
from ndbench.operations.roots import ITERATIVE, METHODS, POLYNOMIAL
from ndbench.roots import Status
from tests.operations.bad_matrices import BAD, INDEFINITE, NOT_A_NUMBER, SINGULAR, SKEWED, every_fault, refusal
from tests.roots.spd import FIVE_FOUR, FIVE_FOUR_ROOT, batch

INVERTING = tuple(method for method in METHODS if method not in POLYNOMIAL)
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]

every_method = pytest.mark.parametrize("method", METHODS)
every_iteration = pytest.mark.parametrize("method", ITERATIVE)


@every_fault
@every_method
def test_a_single_bad_matrix(method, fault):
    A, reason = BAD[fault]
    with pytest.raises(ValueError, match=refusal("inverse_sqrt", "the matrix has this fault", reason)):
        inverse_sqrt(A, method=method)


@every_fault
@every_iteration
def test_a_bad_matrix_among_good_ones(method, fault):
    A, reason = BAD[fault]
    which = "1 of 3 matrices have this fault, at batch index [1]"
    with pytest.raises(ValueError, match=refusal("inverse_sqrt_to_tolerance", which, reason)):
        inverse_sqrt_to_tolerance(torch.stack([FIVE_FOUR, A, FIVE_FOUR]), method=method)


SEVERAL = {
    "two dimensions": (
        torch.stack([FIVE_FOUR, -FIVE_FOUR, FIVE_FOUR, FIVE_FOUR, FIVE_FOUR, -FIVE_FOUR]).reshape(2, 3, 2, 2),
        "2 of 6 matrices have this fault, at batch index [(0, 1), (1, 2)]",
        "not positive definite",
    ),
    "no more than eight": (
        -FIVE_FOUR.expand(11, 2, 2),
        "11 of 11 matrices have this fault, at batch index [0, 1, 2, 3, 4, 5, 6, 7] and 3 more",
        "not positive definite",
    ),
    "the first kind of fault": (
        torch.stack([-FIVE_FOUR, NOT_A_NUMBER]),
        "1 of 2 matrices have this fault, at batch index [1]",
        "NaN or infinite entries",
    ),
}


@pytest.mark.parametrize(("A", "which", "fault"), SEVERAL.values(), ids=SEVERAL)
def test_which_matrices_are_named(A, which, fault):
    with pytest.raises(ValueError, match=refusal("inverse_sqrt", which, fault)):
        inverse_sqrt(A)


@pytest.mark.parametrize("dtype", TYPES)
@every_method
def test_asymmetry_of_rounding_size_is_no_fault(method, dtype):
    A = FIVE_FOUR.to(dtype, copy=True)
    A[1, 0] *= 1 + torch.finfo(dtype).eps
    assert A[1, 0] != A[0, 1]
    found = inverse_sqrt(A, method=method, steps=12)
    torch.testing.assert_close(found.double(), FIVE_FOUR_ROOT, rtol=0, atol=16 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("n", [2, 8, 64])
def test_asymmetry_is_judged_against_sqrt_n_u_times_the_norm(n):
    allowed = 4 * n**0.5 * 2.0**-24 * n**0.5
    for size, fault in ((0.5, False), (2.0, True)):
        A = torch.eye(n)
        # ||A - A^T||_F is sqrt(2) times the entry
        A[0, 1] = size * allowed / 2**0.5
        assert bool(faults(A, semidefinite=False)["not symmetric beyond rounding"]) == fault


@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1e30])
def test_asymmetry_is_seen_at_every_scale(scale):
    with pytest.raises(ValueError, match="not symmetric beyond rounding"):
        inverse_sqrt(torch.tensor([[2.0, 1.0], [0.0, 2.0]]) * scale)
    rounded = torch.tensor([[2.0, 1.0], [1.0000001, 2.0]]) * scale
    assert inverse_sqrt(rounded, method="spectral").isfinite().all()


@pytest.mark.parametrize("method", INVERTING)
def test_methods_that_invert_refuse_a_singular_matrix(method):
    with pytest.raises(ValueError, match=refusal("inverse_sqrt", "the matrix has this fault", "not positive definite")):
        inverse_sqrt(SINGULAR, method=method)


@pytest.mark.parametrize("smallest", [0.0, 1e-17, -1e-17])
@pytest.mark.parametrize("method", POLYNOMIAL)
def test_polynomial_methods_accept_semidefinite_to_rounding(method, smallest):
    A = torch.diag(torch.tensor([1.0, smallest], dtype=torch.float64))
    expected = inverse_sqrt(torch.diag(torch.tensor([1.0, 1e-15], dtype=torch.float64)), method=method)
    torch.testing.assert_close(inverse_sqrt(A, method=method), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("method", POLYNOMIAL)
def test_polynomial_methods_refuse_more_than_rounding(method):
    A = torch.diag(torch.tensor([1.0, -8 * 2.0**-53], dtype=torch.float64))
    with pytest.raises(ValueError, match="the matrix has this fault: not positive definite"):
        inverse_sqrt(A, method=method)


def test_an_answer_lost_to_the_type_is_refused():
    # positive definite in float16, but the root of 1e-7 is approached from 1 / 1e-7, beyond 65504
    A = torch.diag(torch.tensor([1.0, 1e-7], dtype=torch.float64)).to(torch.float16)
    fault = "not positive definite to working precision in torch.float16"
    message = refusal("inverse_sqrt", "the matrix has this fault", fault)
    with pytest.raises(ValueError, match=message):
        inverse_sqrt(A, method="denman_beavers_plain", steps=5)
    assert inverse_sqrt(A, method="denman_beavers_plain", steps=5, check=False).isinf().any()


def test_a_norm_that_overflows_is_called_so():
    with pytest.raises(ValueError, match="overflows, so scale A down"):
        inverse_sqrt(torch.eye(4) * 3e38)


@every_fault
@every_method
def test_unchecked_gives_nan_in_exactly_the_bad_matrix(method, fault):
    good = batch(2, 3.0, shape=(3,))
    spoiled = good.clone()
    spoiled[1] = BAD[fault][0]
    found = inverse_sqrt(spoiled, method=method, check=False)
    undisturbed = inverse_sqrt(good, method=method, check=False)
    assert found[1].isnan().all()
    assert torch.equal(found[[0, 2]], undisturbed[[0, 2]])


@every_method
@pytest.mark.parametrize("dtype", TYPES)
def test_unchecked_works_in_every_type(method, dtype):
    A = torch.stack([FIVE_FOUR, NOT_A_NUMBER, INDEFINITE, SKEWED + INDEFINITE.triu(1)]).to(dtype)
    found = inverse_sqrt(A, method=method, check=False)
    assert found.dtype == dtype
    # a batch may be multiplied by other instructions than one matrix, in another order
    rounding = 8 * torch.finfo(dtype).eps
    alone = inverse_sqrt(FIVE_FOUR.to(dtype), method=method)
    torch.testing.assert_close(found[0], alone, rtol=rounding, atol=rounding)
    assert found[1:].isnan().all()


@every_fault
@every_iteration
def test_unchecked_iteration_marks_the_bad_matrix_invalid(method, fault):
    A = torch.stack([FIVE_FOUR, BAD[fault][0]])
    found = inverse_sqrt_to_tolerance(A, method=method, check=False)
    alone = inverse_sqrt_to_tolerance(FIVE_FOUR, method=method)
    assert found.status.tolist() == [alone.status, Status.INVALID]
    assert found.steps.tolist() == [alone.steps, 0]
    assert found.D[1].isnan().all()
    assert found.residual[1].isnan()
    torch.testing.assert_close(found.D[0], alone.D, rtol=1e-15, atol=1e-15)
