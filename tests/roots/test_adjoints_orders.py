"""Higher orders, forward mode and transforms: every order and mode of the same function agrees."""

import pytest
import torch
from torch.autograd import forward_ad, gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from ndbench.roots import denman_beavers, newton_schulz, spectral
from ndbench.roots.adjoints import Coupled, Eigenbasis, ProductForm, Recomputed, Spectral, with_adjoint
from ndbench.roots.adjoints.choice import steps_of
from tests.roots.spd import batch

pytestmark = [
    # PyTorch's own, when its forward mode and its compiler load
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]

QUINTIC = steps_of("minimax_quintic", 2, 1e-2, 0)
NEWTON_SCHULZ = steps_of("newton_schulz", 3, 1e-4, 0)
RECURRENCES = {
    "newton_schulz": NEWTON_SCHULZ,
    "newton_schulz, eigenbasis": Eigenbasis(NEWTON_SCHULZ),
    "recomputed": Recomputed(NEWTON_SCHULZ),
    "minimax_quintic": QUINTIC,
    "minimax_quintic, eigenbasis": Eigenbasis(QUINTIC),
    "denman_beavers": ProductForm(3, 2),
    "denman_beavers, eigenbasis": Eigenbasis(ProductForm(3, 2)),
    "spectral": Spectral(lyapunov=False),
    "spectral, lyapunov": Spectral(lyapunov=True),
}
every_recurrence = pytest.mark.parametrize("name", RECURRENCES)
A = batch(3, 3.0)
E = torch.tensor([[0.3, -1.0, 0.4], [-1.0, 0.2, 0.6], [0.4, 0.6, -0.5]], dtype=torch.float64)
REPEATED = torch.eye(3, dtype=torch.float64) / 2


def symmetrised(name):
    return lambda X: with_adjoint((X + X.mT) / 2, RECURRENCES[name])


def along_a_line(name, at, direction):
    """A number of a number, to be differentiated again and again."""
    function = symmetrised(name)
    return lambda t: (function(at + t * direction) * E).sum()


@every_recurrence
def test_gradcheck_in_both_modes(name):
    assert gradcheck(symmetrised(name), A.clone().requires_grad_(), check_forward_ad=True, check_batched_grad=True)


@every_recurrence
def test_gradgradcheck_in_both_modes(name):
    assert gradgradcheck(symmetrised(name), A.clone().requires_grad_(), check_fwd_over_rev=True)


@every_recurrence
def test_every_mix_of_modes_gives_the_same_second_and_third_derivative(name):
    f = along_a_line(name, A[0], E / 10)
    t = torch.tensor(0.0, dtype=torch.float64)
    expected = central_second_difference(f, 1e-3)
    for outer in (grad, jacfwd, jacrev):
        for inner in (grad, jacfwd, jacrev):
            second = outer(inner(f))
            torch.testing.assert_close(second(t), expected, rtol=1e-5, atol=1e-7)
            torch.testing.assert_close(jacfwd(second)(t), grad(second)(t), rtol=1e-9, atol=1e-11)


@every_recurrence
def test_second_derivative_at_a_multiple_of_the_identity(name):
    f = along_a_line(name, REPEATED, E / 10)
    t = torch.tensor(0.0, dtype=torch.float64)
    expected = central_second_difference(f, 1e-3)
    for second in (grad(grad(f)), jacfwd(grad(f)), jacfwd(jacfwd(f))):
        torch.testing.assert_close(second(t), expected, rtol=1e-4, atol=1e-6)


def central_second_difference(f, h):
    ahead, here, behind = (f(torch.tensor(s, dtype=torch.float64)) for s in (h, 0.0, -h))
    return (ahead - 2 * here + behind) / h**2


@every_recurrence
def test_jvp_and_vjp_are_adjoint(name):
    function = symmetrised(name)
    D, tangent = jvp(function, (A[0],), (E,))
    value, pull = vjp(function, A[0])
    G = torch.arange(9.0, dtype=torch.float64).reshape(3, 3)
    torch.testing.assert_close((tangent * G).sum(), (pull(G)[0] * E).sum(), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(D, value, rtol=0, atol=0)


@every_recurrence
def test_forward_mode_is_finite_where_eigenvalues_repeat(name):
    step = 1e-5
    function = symmetrised(name)
    _, tangent = jvp(function, (REPEATED,), (E,))
    expected = (function(REPEATED + step * E) - function(REPEATED - step * E)) / (2 * step)
    torch.testing.assert_close(tangent, expected, rtol=1e-7, atol=1e-7)


@every_recurrence
def test_eager_forward_mode(name):
    with forward_ad.dual_level():
        D = symmetrised(name)(forward_ad.make_dual(A[0], E))
        tangent = forward_ad.unpack_dual(D).tangent
    torch.testing.assert_close(tangent, jvp(symmetrised(name), (A[0],), (E,))[1], rtol=1e-12, atol=1e-13)


@every_recurrence
def test_vmap(name):
    function = symmetrised(name)
    torch.testing.assert_close(vmap(function)(A), function(A), rtol=1e-13, atol=1e-14)
    turned = vmap(function, in_dims=2, out_dims=2)(A.movedim(0, 2))
    torch.testing.assert_close(turned, function(A).movedim(0, 2), rtol=1e-13, atol=1e-14)

    def loss(X):
        return (function(X) ** 2).sum()

    torch.testing.assert_close(vmap(grad(loss))(A), grad(loss)(A), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(vmap(hessian(loss))(A)[1], hessian(loss)(A[1]), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@every_recurrence
def test_compiled_in_one_graph(name, backend):
    torch._dynamo.reset()
    function = torch.compile(symmetrised(name), backend=backend, fullgraph=True)
    X, Y = A.clone().requires_grad_(), A.clone().requires_grad_()
    function(X).backward(E.expand(2, 3, 3))
    symmetrised(name)(Y).backward(E.expand(2, 3, 3))
    torch.testing.assert_close(X.grad, Y.grad, rtol=1e-13, atol=1e-14)


@every_recurrence
def test_compiled_forward_mode_leaves_the_graph_or_refuses(name):
    torch._dynamo.reset()

    def tangent(X):
        return jvp(symmetrised(name), (X,), (E,))[1]

    # through the operations of eigh it would be NaN here, and wrong through the Cholesky inverse
    found = torch.compile(tangent, backend="eager")(REPEATED)
    torch.testing.assert_close(found, tangent(REPEATED), rtol=1e-13, atol=1e-14)
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(tangent, backend="eager", fullgraph=True)(REPEATED)


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@every_recurrence
def test_compiled_double_backward_is_refused(name, backend):
    torch._dynamo.reset()
    X = A.clone().requires_grad_()
    D = torch.compile(symmetrised(name), backend=backend, fullgraph=True)(X)
    with pytest.raises(RuntimeError):  # noqa: PT012, PyTorch refuses in the first or in the second pass
        (first,) = torch.autograd.grad((D**2).sum(), X, create_graph=True)
        torch.autograd.grad(first.sum(), X)


def test_an_answer_not_used_gets_no_gradient():
    X = A.clone().requires_grad_()
    with_adjoint(X, NEWTON_SCHULZ)
    (X * 2).sum().backward()
    assert (X.grad == 2).all()


@pytest.mark.parametrize(
    ("recurrence", "loop"),
    [
        (NEWTON_SCHULZ, lambda X: newton_schulz(X, 3)),
        (ProductForm(3, 2), lambda X: denman_beavers(X, 3, 2)),
        (Spectral(lyapunov=False), spectral),
        (Spectral(lyapunov=True), spectral),
    ],
    ids=["newton_schulz", "denman_beavers", "spectral", "lyapunov"],
)
def test_the_answer_is_that_of_the_loop_bit_for_bit(recurrence, loop):
    assert torch.equal(with_adjoint(A, recurrence), loop(A))
    assert isinstance(recurrence, Coupled | ProductForm | Spectral)
