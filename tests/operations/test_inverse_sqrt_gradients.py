"""Derivatives of the public inverse square root: every adjoint, and what is refused."""

import re

import numpy as np
import pytest
import scipy.linalg
import torch
from torch.func import grad, jacfwd, jacrev, jvp, vmap

from ndbench import inverse_sqrt, roots
from ndbench.operations.roots import METHODS
from ndbench.roots.adjoints import Coupled, Eigenbasis, ProductForm, Recomputed, Spectral
from ndbench.roots.adjoints.choice import ADJOINTS, recurrence_for, steps_of
from tests.roots.spd import FIVE_FOUR, batch

pytestmark = [
    # PyTorch's own, when its forward mode and its compiler load
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

SCIPY = ("scipy_sqrtm", "scipy_power")
PAIRS = [(method, adjoint) for method, adjoints in ADJOINTS.items() for adjoint in adjoints if method not in SCIPY]
WRITTEN = [(method, adjoint) for method, adjoint in PAIRS if len(ADJOINTS[method]) > 2 and adjoint != "autograd"]
every_pair = pytest.mark.parametrize(("method", "adjoint"), PAIRS)
every_written_pair = pytest.mark.parametrize(("method", "adjoint"), WRITTEN)
every_scipy_method = pytest.mark.parametrize("method", SCIPY)

A = batch(4, 20.0, shape=(3,))
G = torch.tensor(np.random.default_rng(1).standard_normal((3, 4, 4)))
INDEFINITE = -torch.eye(4, dtype=torch.float64)


def gradient(A, G, **options):
    A = A.clone().requires_grad_()
    (found,) = torch.autograd.grad(inverse_sqrt(A, **options), A, G)
    return found


def symmetric(X):
    return (X + X.mT) / 2


@every_pair
@pytest.mark.parametrize("check", [True, False])
def test_every_adjoint_is_that_of_the_loop(method, adjoint, check):
    found = gradient(A, G, method=method, steps=4, adjoint=adjoint, check=check)
    expected = gradient(A, symmetric(G), method=method, steps=4, adjoint="autograd")
    torch.testing.assert_close(symmetric(found), symmetric(expected), rtol=1e-11, atol=1e-12)


@every_written_pair
def test_the_gradient_is_symmetric(method, adjoint):
    found = gradient(A, G, method=method, adjoint=adjoint)
    assert torch.equal(found, found.mT)
    skew = G - G.mT
    torch.testing.assert_close(gradient(A, G + 7 * skew, method=method, adjoint=adjoint), found, rtol=0, atol=1e-11)


@pytest.mark.parametrize("adjoint", ["eigenbasis", "lyapunov"])
def test_the_exact_gradient_solves_the_lyapunov_equation(adjoint):
    found = gradient(A, G, method="spectral", adjoint=adjoint)
    for a, g, x in zip(A.numpy(), symmetric(G).numpy(), found.numpy(), strict=True):
        R = scipy.linalg.sqrtm(a)
        D = np.linalg.inv(R)
        X = scipy.linalg.solve_continuous_lyapunov(R, -D @ g @ D)
        np.testing.assert_allclose(x, X, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("size", [1.0, 0.25, 4.0**6])
@every_written_pair
def test_multiples_of_the_identity(method, adjoint, size):
    # D(s A) = s^(-1/2) D(A) for maps scaled by the norm and for the exact one, so <gradient, A> = -<D, G> / 2
    eye = size * torch.eye(4, dtype=torch.float64)
    found = gradient(eye, G[0], method=method, adjoint=adjoint)
    assert found.isfinite().all()
    if method != "denman_beavers":
        value = inverse_sqrt(eye, method=method)
        torch.testing.assert_close((found * eye).sum(), -(value * G[0]).sum() / 2, rtol=1e-12, atol=1e-13)


def test_spectral_at_the_identity():
    for adjoint in ("eigenbasis", "lyapunov"):
        found = gradient(torch.eye(4, dtype=torch.float64), G[0], method="spectral", adjoint=adjoint)
        torch.testing.assert_close(found, -symmetric(G[0]) / 2, rtol=1e-14, atol=1e-15)


@every_pair
def test_one_matrix_of_order_one(method, adjoint):
    steps = 30 if method != "newton_schulz" else 12
    found = gradient(
        torch.full((1, 1), 4.0, dtype=torch.float64),
        torch.ones(1, 1, dtype=torch.float64),
        method=method,
        steps=steps,
        adjoint=adjoint,
    )
    torch.testing.assert_close(found, torch.full_like(found, -0.5 * 4.0**-1.5), rtol=1e-12, atol=0)


@every_pair
@pytest.mark.parametrize("upstream", [1.0, torch.nan, torch.inf])
def test_a_bad_matrix_has_no_gradient_and_spoils_none(method, adjoint, upstream):
    good = gradient(A, G, method=method, adjoint=adjoint, check=False)
    for bad in (INDEFINITE, torch.full_like(INDEFINITE, torch.nan), torch.full_like(INDEFINITE, torch.inf)):
        spoiled, received = A.clone(), G.clone()
        spoiled[1], received[1] = bad, upstream
        found = gradient(spoiled, received, method=method, adjoint=adjoint, check=False)
        assert torch.equal(found[[0, 2]], good[[0, 2]])
        assert (found[1] == 0).all()


@every_pair
def test_nan_stays_in_the_matrix_whose_upstream_gradient_has_it(method, adjoint):
    received = G.clone()
    received[1, 0, 0] = torch.nan
    found = gradient(A, received, method=method, adjoint=adjoint)
    torch.testing.assert_close(found[[0, 2]], gradient(A, G, method=method, adjoint=adjoint)[[0, 2]])
    assert found[1].isnan().any()


@every_pair
def test_overwriting_input_and_answer_changes_no_gradient(method, adjoint):
    X = A.clone().requires_grad_()
    shifted = X + 0
    D = inverse_sqrt(shifted, method=method, adjoint=adjoint)
    with torch.no_grad():
        shifted.zero_()
        D.zero_()
    D.backward(G)
    assert torch.equal(X.grad, gradient(A, G, method=method, adjoint=adjoint))


# two eigenvalues meet but for rounding, and autograd through eigh divides by their gap
@pytest.mark.parametrize(("method", "adjoint"), [pair for pair in PAIRS if pair != ("spectral", "autograd")])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_types(method, adjoint, dtype):
    eigenvalues, Q = torch.tensor([1.0, 0.75, 0.5, 0.5]), torch.linalg.qr(G[0].float())[0]
    rounded, received = symmetric(Q @ torch.diag(eigenvalues) @ Q.mT).to(dtype), G[0].to(dtype)
    found = gradient(rounded, received, method=method, steps=3, adjoint=adjoint)
    exact = gradient(rounded.double(), symmetric(received.double()), method=method, steps=3, adjoint=adjoint)
    assert found.dtype == dtype
    u = torch.finfo(dtype).eps / 2
    error = torch.linalg.matrix_norm(symmetric(found.double() - exact)) / torch.linalg.matrix_norm(symmetric(exact))
    assert error <= (400 if method.startswith("minimax") else 60) * u


@every_pair
def test_the_answer_is_that_of_the_loop(method, adjoint):
    expected = inverse_sqrt(A, method=method)
    found = inverse_sqrt(A.clone().requires_grad_(), method=method, adjoint=adjoint)
    assert found.requires_grad
    if adjoint == "eigenbasis" and method != "spectral":
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-13)
    else:
        assert torch.equal(found, expected)


def test_automatic_choice():
    steps = steps_of("newton_schulz", 5, 1e-4, 0)
    small, large = torch.eye(127).requires_grad_(), torch.eye(128).requires_grad_()
    assert recurrence_for(small, "auto", steps) == steps
    assert recurrence_for(large, "auto", steps) == Eigenbasis(steps)
    assert recurrence_for(large.double(), "auto", steps) == Eigenbasis(steps)
    for slower in (large.bfloat16(), large.half(), large.to("meta")):
        assert recurrence_for(slower, "auto", steps) == steps
    # too few products to save, steps that magnify the errors of eigh, a product form that does as the condition demands
    few = steps_of("newton_schulz", 3, 1e-4, 0)
    for inaccurate in (
        few,
        steps_of("newton_schulz", 6, 1e-4, 0),
        steps_of("minimax_cubic", 5, 1e-4, 0),
        ProductForm(2, 2),
    ):
        assert recurrence_for(large, "auto", inaccurate) == inaccurate
        assert recurrence_for(large, "eigenbasis", inaccurate) == Eigenbasis(inaccurate)
    assert recurrence_for(large, "reverse", steps) == steps
    assert recurrence_for(small, "auto", None) == Spectral(lyapunov=False)
    assert recurrence_for(small, "lyapunov", None) == Spectral(lyapunov=True)


def test_nothing_is_kept_where_no_gradient_is_recorded():
    steps = steps_of("newton_schulz", 5, 1e-4, 0)
    recorded = torch.eye(200).requires_grad_()
    with torch.no_grad():
        assert recurrence_for(recorded, "auto", steps) == Recomputed(steps)
    assert recurrence_for(recorded.detach(), "auto", steps) == Recomputed(steps)
    assert recurrence_for(recorded.detach(), "auto", None) == Recomputed(Spectral(lyapunov=False))


def test_steps_of_the_methods():
    assert steps_of("newton_schulz", 2, 1e-4, 0) == Coupled(((1.5, -0.5, 0.0), (1.5, -0.5, 0.0)))
    assert steps_of("denman_beavers", 3, 1e-4, 2) == ProductForm(3, 2)
    assert [len(set(steps_of(m, 2, 0.1, 0).coefficients[0])) for m in ("minimax_cubic", "minimax_quintic")] == [3, 3]


def test_the_automatic_answer_at_a_large_order():
    wide = batch(128, 1e3, torch.float32, shape=(1,))
    found = inverse_sqrt(wide.clone().requires_grad_())
    expected = roots.newton_schulz(wide, 5)
    # five steps magnify rounding by at most 2.25^5
    torch.testing.assert_close(found.detach(), expected, rtol=0, atol=float(16 * 2.0**-24 * 58 * expected.abs().max()))


def test_scaled_steps_and_lower_reach_the_adjoint():
    for options in ({"method": "denman_beavers", "scaled_steps": 1}, {"method": "minimax_cubic", "lower": 0.01}):
        found = gradient(A, G, steps=3, adjoint="reverse", **options)
        expected = gradient(A, symmetric(G), steps=3, adjoint="autograd", **options)
        torch.testing.assert_close(found, symmetric(expected), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("adjoint", ["implicit", "reverse", "eigenbasis", "lyapunov"])
def test_an_adjoint_the_method_does_not_have(method, adjoint):
    known = ADJOINTS[method]
    if adjoint in known:
        return
    message = f"inverse_sqrt: adjoint must be one of {', '.join(known)} for method {method!r}; got {adjoint!r}"
    for X in (FIVE_FOUR, FIVE_FOUR[None][:0]):
        with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
            inverse_sqrt(X, method=method, adjoint=adjoint)


@every_scipy_method
def test_scipy_has_no_derivative(method):
    message = (
        f"inverse_sqrt: method '{method}' has no derivative; use method='spectral', which computes the same function, "
        "or detach A"
    )
    X = FIVE_FOUR.clone().requires_grad_()
    D = inverse_sqrt(X, method=method)
    with pytest.raises(NotImplementedError, match=f"^{re.escape(message)}$"):
        D.sum().backward()
    with pytest.raises(NotImplementedError, match=f"^{re.escape(message)}$"):
        jvp(lambda X: inverse_sqrt(X, method=method), (FIVE_FOUR,), (FIVE_FOUR,))
    assert not inverse_sqrt(X.detach(), method=method).requires_grad


@every_scipy_method
def test_scipy_under_vmap_and_compile(method):
    def function(X):
        return inverse_sqrt(X, method=method, check=False)

    turned = vmap(function, in_dims=1, out_dims=1)(A.movedim(0, 1))
    torch.testing.assert_close(turned.movedim(1, 0), function(A), rtol=1e-13, atol=1e-14)
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(function, backend="eager")(A), function(A), rtol=0, atol=0)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(function, backend="eager", fullgraph=True)(A)


def test_forward_mode_through_the_cholesky_inverse_is_refused():
    def function(X):
        return inverse_sqrt(X, method="denman_beavers", adjoint="autograd")

    with pytest.raises(NotImplementedError, match=r"forward mode .* use adjoint='reverse'"):
        jvp(function, (FIVE_FOUR,), (FIVE_FOUR,))
    with pytest.raises(NotImplementedError, match=r"forward mode .* use adjoint='reverse'"):
        jacfwd(jacrev(lambda X: function(X).sum()))(FIVE_FOUR)


FORWARD = [pair for pair in PAIRS if pair != ("denman_beavers", "autograd")]


@pytest.mark.parametrize(("method", "adjoint"), FORWARD)
def test_forward_mode(method, adjoint):
    def function(X):
        return inverse_sqrt(symmetric(X), method=method, steps=3, adjoint=adjoint)

    E, step = symmetric(G), 1e-5
    D, tangent = jvp(function, (A,), (E,))
    expected = (function(A + step * E) - function(A - step * E)) / (2 * step)
    torch.testing.assert_close(tangent, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close((tangent * G).sum(), (gradient(A, G, method=method, steps=3) * E).sum())
    torch.testing.assert_close(D, function(A), rtol=1e-13, atol=1e-14)


# of PyTorch's own, the second derivative through eigh is not finite
@pytest.mark.parametrize(("method", "adjoint"), [pair for pair in FORWARD if pair != ("spectral", "autograd")])
def test_second_derivatives_agree(method, adjoint):
    def loss(X):
        return (inverse_sqrt(symmetric(X), method=method, steps=3, adjoint=adjoint, check=False) ** 2).sum()

    X = A[0, :3, :3]
    h, E = 1e-4, symmetric(G[0, :3, :3])
    expected = (grad(loss)(X + h * E) - grad(loss)(X - h * E)) / (2 * h)
    for second in (jacrev(jacrev(loss)), jacfwd(jacrev(loss)), jacrev(jacfwd(loss)), jacfwd(jacfwd(loss))):
        found = torch.einsum("ijkl,kl->ij", second(X), E)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


@every_pair
def test_vmap(method, adjoint):
    def function(X):
        return inverse_sqrt(X, method=method, adjoint=adjoint, check=False)

    spoiled = torch.stack([*A, INDEFINITE])
    found = vmap(function)(spoiled)
    torch.testing.assert_close(found[:3], function(A), rtol=1e-12, atol=1e-13)
    assert found[3].isnan().all()
    gradients = vmap(grad(lambda X, g: (function(X) * g).sum()))(A, G)
    torch.testing.assert_close(gradients, gradient(A, G, method=method, adjoint=adjoint), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("method", METHODS)
def test_vmap_cannot_check(method):
    message = "inverse_sqrt: check=True reads values, which torch.func.vmap hides; pass check=False"
    with pytest.raises(RuntimeError, match=f"^{re.escape(message)}$"):
        vmap(lambda X: inverse_sqrt(X, method=method))(A)


@every_pair
def test_compiled(method, adjoint):
    def function(X):
        return inverse_sqrt(X, method=method, steps=3, adjoint=adjoint, check=False)

    torch._dynamo.reset()
    X = torch.stack([*A, INDEFINITE]).requires_grad_()
    D = torch.compile(function, backend="aot_eager", fullgraph=True)(X)
    assert D[3].isnan().all()
    D[:3].backward(G)
    expected = gradient(A, G, method=method, steps=3, adjoint=adjoint)
    torch.testing.assert_close(X.grad[:3], expected, rtol=1e-12, atol=1e-13)
    assert (X.grad[3] == 0).all()


NESTED = {
    "vmap of grad": lambda loss: vmap(grad(loss)),
    "grad of vmap": lambda loss: grad(lambda X: vmap(loss)(X).sum()),
    "grad of grad": lambda loss: grad(lambda X: (grad(lambda X: vmap(loss)(X).sum())(X) ** 2).sum()),
    "three times": lambda loss: grad(lambda X: (jacrev(jacrev(loss))(X[0]) ** 2).sum()),
}


@pytest.mark.parametrize("nested", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("method", ["newton_schulz", "denman_beavers", "spectral"])
def test_compiled_transforms_of_transforms(method, nested):
    def loss(X):
        return (inverse_sqrt(X, method=method, steps=3, check=False) * G[0]).sum()

    torch._dynamo.reset()
    compiled = torch.compile(nested(loss), backend="aot_eager", fullgraph=True)
    if method == "spectral":
        with pytest.raises(torch._dynamo.exc.Unsupported, match=r"'spectral' inside several transforms of torch\.func"):
            compiled(A)
    else:
        expected = nested(loss)(A)
        torch.testing.assert_close(compiled(A), expected, rtol=1e-11, atol=1e-11 * float(expected.abs().max()))


def test_compiled_with_checks():
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(inverse_sqrt, backend="eager")(A), inverse_sqrt(A), rtol=0, atol=0)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(inverse_sqrt, backend="eager", fullgraph=True)(A)
    with pytest.raises(ValueError, match="not positive definite"):
        torch.compile(inverse_sqrt, backend="eager")(-A)
