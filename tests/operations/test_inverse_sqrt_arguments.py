"""What the public inverse square roots refuse beside matrices at fault."""

import signal
from contextlib import contextmanager

import pytest
import torch

from ndbench import inverse_sqrt, inverse_sqrt_to_tolerance
from ndbench.operations.backends import require_backend
from ndbench.operations.roots import ITERATIVE, METHODS
from tests.operations.bad_matrices import exactly
from tests.roots.spd import FIVE_FOUR

PUBLIC = {"inverse_sqrt": inverse_sqrt, "inverse_sqrt_to_tolerance": inverse_sqrt_to_tolerance}

both_functions = pytest.mark.parametrize("name", PUBLIC)
one_or_none = pytest.mark.parametrize("A", [FIVE_FOUR, FIVE_FOUR[None][:0]], ids=["one matrix", "none"])


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
@one_or_none
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
@one_or_none
@pytest.mark.parametrize("method", ["minimax_cubic", "minimax_quintic"])
def test_an_argument_of_the_iteration_out_of_range(method, A, arguments, message):
    with within(5), pytest.raises(ValueError, match=exactly(f"inverse_sqrt_to_tolerance: {message}")):
        inverse_sqrt_to_tolerance(A, method=method, **arguments)


@pytest.mark.parametrize("method", ["spectral", "scipy_sqrtm", "scipy_power", "pade"])
def test_only_iterations_have_a_tolerance(method):
    message = f"inverse_sqrt_to_tolerance: method must be an iteration, one of {', '.join(ITERATIVE)}; got '{method}'"
    with pytest.raises(ValueError, match=exactly(message)):
        inverse_sqrt_to_tolerance(FIVE_FOUR, method=method)


@pytest.mark.parametrize("options", [{"steps": 2.5}, {"steps": "5"}, {"steps": True}, {"scaled_steps": 1.5}])
def test_counts_are_whole_numbers(options):
    (argument, value) = next(iter(options.items()))
    with pytest.raises(TypeError, match=f"inverse_sqrt: {argument} must be an integer; got {value!r}"):
        inverse_sqrt(torch.eye(2), **options)


def test_max_steps_is_a_whole_number():
    with pytest.raises(TypeError, match=r"inverse_sqrt_to_tolerance: max_steps must be an integer; got 1\.5"):
        inverse_sqrt_to_tolerance(torch.eye(2), max_steps=1.5)
