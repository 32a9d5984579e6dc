"""The public inverse square roots: what they refuse, what they say, and what they leave alone."""

import re
import signal
from contextlib import contextmanager

import pytest
import torch

import ndbench
from ndbench import inverse_sqrt, inverse_sqrt_to_tolerance, roots
from ndbench.operations.backends import require_backend
from ndbench.operations.definite import faults
from ndbench.operations.roots import ITERATIVE, METHODS, POLYNOMIAL
from ndbench.roots import Status
from tests.roots.spd import FIVE_FOUR, FIVE_FOUR_ROOT, batch, whitening_residual

INVERTING = tuple(method for method in METHODS if method not in POLYNOMIAL)
DIFFERENTIABLE = tuple(method for method in METHODS if not method.startswith("scipy"))
PUBLIC = {"inverse_sqrt": inverse_sqrt, "inverse_sqrt_to_tolerance": inverse_sqrt_to_tolerance}
TYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]

every_method = pytest.mark.parametrize("method", METHODS)
every_iteration = pytest.mark.parametrize("method", ITERATIVE)
both_functions = pytest.mark.parametrize("name", PUBLIC)

NOT_A_NUMBER = FIVE_FOUR.index_fill(0, torch.tensor([1]), torch.nan)
INFINITE = FIVE_FOUR.index_fill(1, torch.tensor([0]), torch.inf)
SKEWED = torch.tensor([[5.0, 4.0], [4.001, 5.0]], dtype=torch.float64)
INDEFINITE = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
SINGULAR = torch.ones(2, 2, dtype=torch.float64)
BAD = {
    "NaN": (NOT_A_NUMBER, "NaN or infinite entries"),
    "infinite": (INFINITE, "NaN or infinite entries"),
    "not symmetric": (SKEWED, "not symmetric beyond rounding"),
    "indefinite": (INDEFINITE, "not positive definite"),
    "negative definite": (-FIVE_FOUR, "not positive definite"),
    "zero": (torch.zeros_like(FIVE_FOUR), "not positive definite"),
}
every_fault = pytest.mark.parametrize("fault", BAD)


def exactly(message):
    return f"^{re.escape(message)}$"


def refusal(name, which, fault):
    """The whole message for matrices that are at fault."""
    return exactly(
        f"{name}: A must be symmetric positive definite and finite; {which}: {fault}. Add eps I to a covariance that "
        "may be singular, or pass check=False to get NaN in just these matrices"
    )


@contextmanager
def within(seconds):
    """A computation that never ends fails instead of hanging."""

    def give_up(*_):
        raise AssertionError(f"not done after {seconds} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_the_package_exports_both():
    assert ndbench.inverse_sqrt is inverse_sqrt
    assert ndbench.inverse_sqrt_to_tolerance is inverse_sqrt_to_tolerance


@both_functions
def test_not_a_tensor(name):
    with pytest.raises(TypeError, match=exactly(f"{name}: A must be a torch.Tensor; got list")):
        PUBLIC[name]([[1.0]])


@both_functions
@pytest.mark.parametrize("dtype", [torch.int64, torch.complex64, torch.bool])
def test_not_a_real_floating_point_type(name, dtype):
    message = (
        f"{name}: A must have a real floating-point type (float64, float32, float16, bfloat16); got {dtype}; "
        "convert it first"
    )
    with pytest.raises(TypeError, match=exactly(message)):
        PUBLIC[name](torch.ones(2, 2, dtype=dtype))


@both_functions
@pytest.mark.parametrize("shape", [(), (4,), (2, 3), (2, 3, 1)])
def test_not_square(name, shape):
    message = f"{name}: A must be square in its last two dimensions; got shape {shape}"
    with pytest.raises(ValueError, match=exactly(message)):
        PUBLIC[name](torch.ones(shape))


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


def test_indices_of_a_two_dimensional_batch():
    A = torch.stack([FIVE_FOUR, -FIVE_FOUR, FIVE_FOUR, FIVE_FOUR, FIVE_FOUR, -FIVE_FOUR]).reshape(2, 3, 2, 2)
    which = "2 of 6 matrices have this fault, at batch index [(0, 1), (1, 2)]"
    with pytest.raises(ValueError, match=refusal("inverse_sqrt", which, "not positive definite")):
        inverse_sqrt(A)


def test_no_more_than_eight_indices():
    which = "11 of 11 matrices have this fault, at batch index [0, 1, 2, 3, 4, 5, 6, 7] and 3 more"
    with pytest.raises(ValueError, match=refusal("inverse_sqrt", which, "not positive definite")):
        inverse_sqrt(-FIVE_FOUR.expand(11, 2, 2))


def test_the_first_kind_of_fault_is_named():
    which = "1 of 2 matrices have this fault, at batch index [1]"
    with pytest.raises(ValueError, match=refusal("inverse_sqrt", which, "NaN or infinite entries")):
        inverse_sqrt(torch.stack([-FIVE_FOUR, NOT_A_NUMBER]))


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


@pytest.mark.parametrize("exponent", [-700, -500, 500, 700])
def test_the_size_of_a_matrix_is_no_fault(exponent):
    # beyond 2^512 the squares in the norm overflow, below 2^-537 they underflow
    found = inverse_sqrt(FIVE_FOUR * 2.0**exponent, method="spectral")
    torch.testing.assert_close(found * 2.0 ** (exponent / 2), FIVE_FOUR_ROOT, rtol=1e-14, atol=0)


def test_an_answer_lost_to_the_type_is_refused():
    # positive definite in float16, but the root of 1e-7 is approached from 1 / 1e-7, beyond 65504
    A = torch.diag(torch.tensor([1.0, 1e-7], dtype=torch.float64)).to(torch.float16)
    fault = "not positive definite to working precision in torch.float16"
    message = refusal("inverse_sqrt", "the matrix has this fault", fault)
    with pytest.raises(ValueError, match=message):
        inverse_sqrt(A, method="denman_beavers_plain", steps=5)
    assert inverse_sqrt(A, method="denman_beavers_plain", steps=5, check=False).isinf().any()


def test_unknown_method():
    message = f"inverse_sqrt: method must be one of {', '.join(METHODS)}; got 'pade'"
    with pytest.raises(ValueError, match=exactly(message)):
        inverse_sqrt(FIVE_FOUR, method="pade")


def test_unknown_backend():
    message = "inverse_sqrt: backend must be one of auto, torch, triton; got 'cuda'"
    with pytest.raises(ValueError, match=exactly(message)):
        inverse_sqrt(FIVE_FOUR, backend="cuda")


def test_triton_is_not_replaced_in_silence():
    message = (
        "inverse_sqrt: there is no Triton kernel for method 'spectral', only for newton_schulz, minimax_cubic, "
        "minimax_quintic, denman_beavers; use backend='torch'"
    )
    with pytest.raises(NotImplementedError, match=exactly(message)):
        inverse_sqrt(FIVE_FOUR, method="spectral", backend="triton")
    message = (
        "inverse_sqrt: Triton kernels have an adjoint of their own, adjoint='auto'; got 'reverse'; use backend='torch'"
    )
    with pytest.raises(NotImplementedError, match=exactly(message)):
        inverse_sqrt(FIVE_FOUR, adjoint="reverse", backend="triton")


def test_backends_name_the_operation():
    with pytest.raises(ValueError, match=r"^deconvolve: backend must be one of auto, torch, triton; got ''$"):
        require_backend("", "deconvolve")


@every_method
def test_auto_is_torch(method):
    assert torch.equal(
        inverse_sqrt(FIVE_FOUR, method=method, backend="torch"), inverse_sqrt(FIVE_FOUR, method=method, backend="auto")
    )


OUT_OF_RANGE = [
    ({"steps": 0}, "steps must be at least 1; got 0"),
    ({"steps": -1}, "steps must be at least 1; got -1"),
    ({"lower": 0.0}, "lower must lie in (0, 1], relative to ||A||_F; got 0.0"),
    ({"lower": 2.0}, "lower must lie in (0, 1], relative to ||A||_F; got 2.0"),
    ({"lower": float("nan")}, "lower must lie in (0, 1], relative to ||A||_F; got nan"),
    ({"scaled_steps": 6}, "scaled_steps must lie between 0 and steps = 5; got 6"),
    ({"scaled_steps": -1}, "scaled_steps must lie between 0 and steps = 5; got -1"),
]


@pytest.mark.parametrize(("arguments", "message"), OUT_OF_RANGE, ids=str)
@pytest.mark.parametrize("A", [FIVE_FOUR, FIVE_FOUR[None][:0]], ids=["one matrix", "none"])
def test_an_argument_out_of_range(A, arguments, message):
    with pytest.raises(ValueError, match=exactly(f"inverse_sqrt: {message}")):
        inverse_sqrt(A, **arguments)


TOLERANCE_OUT_OF_RANGE = [
    ({"tolerance": 0.0}, "tolerance must be positive; got 0.0"),
    ({"tolerance": -1e-3}, "tolerance must be positive; got -0.001"),
    ({"tolerance": float("nan")}, "tolerance must be positive; got nan"),
    ({"max_steps": 0}, "max_steps must be at least 1; got 0"),
    *(({"lower": x}, f"lower must lie in (0, 1], relative to ||A||_F; got {x}") for x in (0.0, -1.0, 2.0)),
]


@pytest.mark.parametrize(("arguments", "message"), TOLERANCE_OUT_OF_RANGE, ids=str)
@pytest.mark.parametrize("A", [FIVE_FOUR, FIVE_FOUR[None][:0]], ids=["one matrix", "none"])
@pytest.mark.parametrize("method", ["minimax_cubic", "minimax_quintic"])
def test_an_argument_of_the_iteration_out_of_range(method, A, arguments, message):
    with within(5), pytest.raises(ValueError, match=exactly(f"inverse_sqrt_to_tolerance: {message}")):
        inverse_sqrt_to_tolerance(A, method=method, **arguments)


@pytest.mark.parametrize("method", ["spectral", "scipy_sqrtm", "scipy_power", "pade"])
def test_only_iterations_have_a_tolerance(method):
    message = f"inverse_sqrt_to_tolerance: method must be an iteration, one of {', '.join(ITERATIVE)}; got '{method}'"
    with pytest.raises(ValueError, match=exactly(message)):
        inverse_sqrt_to_tolerance(FIVE_FOUR, method=method)


@every_method
@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3, 3), (0, 0), (4, 0, 0)])
def test_empty(method, shape):
    A = torch.empty(shape)
    found = inverse_sqrt(A, method=method)
    assert (found.shape, found.dtype) == (A.shape, A.dtype)


@pytest.mark.parametrize("shape", [(0, 3, 3), (2, 0, 3, 3), (0, 0), (4, 0, 0)])
def test_nothing_has_converged_at_once(shape):
    found = inverse_sqrt_to_tolerance(torch.empty(shape))
    assert found.D.shape == shape
    assert found.status.tolist() == found.steps.tolist() == torch.zeros(shape[:-2]).tolist()
    assert (found.status.dtype, found.steps.dtype, found.residual.dtype) == (torch.int64, torch.int64, torch.float64)
    assert found.residual.shape == shape[:-2]


@every_method
@pytest.mark.parametrize("dtype", TYPES)
def test_order_one(method, dtype):
    steps = 30 if method.startswith("denman_beavers") else 12
    found = inverse_sqrt(torch.full((2, 1, 1), 16.0, dtype=dtype), method=method, steps=steps)
    torch.testing.assert_close(found, torch.full_like(found, 0.25), rtol=8 * torch.finfo(dtype).eps, atol=0)


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
    assert torch.equal(found[0], inverse_sqrt(FIVE_FOUR.to(dtype), method=method))
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


@pytest.mark.parametrize("shape", [(), (2, 3)])
@every_iteration
def test_one_status_for_every_matrix_of_any_batch(method, shape):
    A = batch(3, 4.0, shape=shape)
    found = inverse_sqrt_to_tolerance(A, method=method)
    assert found.status.shape == found.steps.shape == found.residual.shape == shape
    assert set(found.status.flatten().tolist()) <= {Status.CONVERGED, Status.STAGNATED}
    assert whitening_residual(found.D, A) < 1e-12


@pytest.mark.parametrize("method", DIFFERENTIABLE)
@pytest.mark.parametrize("check", [True, False])
def test_the_gradient_flows(method, check):
    A = batch(3, 3.0, shape=(2,)).requires_grad_()
    assert torch.autograd.gradcheck(lambda S: inverse_sqrt((S + S.mT) / 2, method=method, steps=3, check=check), A)


@pytest.mark.parametrize("method", DIFFERENTIABLE)
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
@pytest.mark.parametrize("dtype", TYPES)
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


@pytest.mark.parametrize("scale", [1e-30, 1e-23, 1e30])
def test_asymmetry_is_seen_at_every_scale(scale):
    with pytest.raises(ValueError, match="not symmetric beyond rounding"):
        inverse_sqrt(torch.tensor([[2.0, 1.0], [0.0, 2.0]]) * scale)
    rounded = torch.tensor([[2.0, 1.0], [1.0000001, 2.0]]) * scale
    assert inverse_sqrt(rounded, method="spectral").isfinite().all()


@pytest.mark.parametrize(("size", "dtype"), [(1e200, torch.float64), (1e-200, torch.float64), (1e-36, torch.float32)])
def test_sizes_whose_squares_overflow_or_underflow(size, dtype):
    A = torch.eye(2, dtype=dtype) * size
    expected = torch.eye(2, dtype=dtype) * size**-0.5
    torch.testing.assert_close(inverse_sqrt(A, steps=30), expected)


def test_a_norm_that_overflows_is_called_so():
    with pytest.raises(ValueError, match="overflows, so scale A down"):
        inverse_sqrt(torch.eye(4) * 3e38)


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


@pytest.mark.parametrize("options", [{"steps": 2.5}, {"steps": "5"}, {"steps": True}, {"scaled_steps": 1.5}])
def test_counts_are_whole_numbers(options):
    (argument, value) = next(iter(options.items()))
    with pytest.raises(TypeError, match=f"inverse_sqrt: {argument} must be an integer; got {value!r}"):
        inverse_sqrt(torch.eye(2), **options)


def test_max_steps_is_a_whole_number():
    with pytest.raises(TypeError, match=r"inverse_sqrt_to_tolerance: max_steps must be an integer; got 1\.5"):
        inverse_sqrt_to_tolerance(torch.eye(2), max_steps=1.5)
