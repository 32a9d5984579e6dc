"""Second derivatives, forward mode, torch.func and torch.compile over every public operation but the roots.

Those have tests/operations/test_inverse_sqrt_gradients.py.
"""

from functools import partial

import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from ndbench import deconvolve, deconvolved_conv2d, deconvolved_linear, inverse_sqrt_to_tolerance, patch_covariance

pytestmark = [
    # PyTorch's own, when its forward mode and its compiler load
    pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated"),
    pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf"),
]


def random(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


X, ROWS = random(2, 2, 4, 5), random(7, 4)
FILTERS, MATRIX = random(3, 2, 2, 2, seed=1), random(3, 4, seed=1)
MEAN, COV = patch_covariance(X, 2, eps=0.1)

OPERATIONS = {
    "patch_covariance": (lambda x: patch_covariance(x, 2)[1], X),
    "deconvolve weight": (lambda w: torch.cat([y.flatten() for y in deconvolve(w, None, MEAN, COV)]), FILTERS),
    "deconvolve mean": (lambda m: deconvolve(FILTERS, None, m, COV)[1], MEAN),
    "deconvolve D": (lambda D: deconvolve(FILTERS, None, MEAN, D)[0], COV),
    "deconvolved_conv2d": (lambda x: deconvolved_conv2d(x, FILTERS, eps=0.1, check=False), X),
    "deconvolved_conv2d weight": (lambda w: deconvolved_conv2d(X, w, eps=0.1, check=False), FILTERS),
    "deconvolved_linear": (lambda x: deconvolved_linear(x, MATRIX, eps=0.1, check=False), ROWS),
    "deconvolved_linear weight": (lambda w: deconvolved_linear(ROWS, w, eps=0.1, check=False), MATRIX),
}
every_operation = pytest.mark.parametrize(("function", "x"), OPERATIONS.values(), ids=OPERATIONS)


@every_operation
def test_derivatives_in_every_mode_and_order(function, x):
    leaf = x.clone().requires_grad_()
    assert gradcheck(function, leaf, check_forward_ad=True)
    assert gradgradcheck(function, leaf)


@every_operation
def test_jvp_is_the_transpose_of_vjp(function, x):
    E = random(*x.shape, seed=2)
    y, tangent = jvp(function, (x,), (E,))
    G = random(*y.shape, seed=3)
    _, pull_back = vjp(function, x)
    torch.testing.assert_close((tangent * G).sum(), (pull_back(G)[0] * E).sum(), rtol=1e-10, atol=1e-10)


@every_operation
def test_vmap(function, x):
    batch = torch.stack([x, x + random(*x.shape, seed=4) / 9])
    torch.testing.assert_close(vmap(function)(batch), torch.stack([function(one) for one in batch]))

    def loss(one):
        return (function(one) ** 2).sum()

    torch.testing.assert_close(vmap(grad(loss))(batch), torch.stack([grad(loss)(one) for one in batch]))


@every_operation
def test_hessian_is_symmetric_and_the_same_in_every_mode(function, x):
    def loss(x):
        return (function(x) ** 2).sum()

    second = [f(x) for f in (hessian(loss), jacrev(jacrev(loss)), jacrev(jacfwd(loss)), jacfwd(jacfwd(loss)))]
    H, *others = (found.reshape(x.numel(), x.numel()) for found in second)
    for other in (H.mT, *others):
        torch.testing.assert_close(H, other, rtol=1e-8, atol=1e-8 * float(H.abs().max()))


@every_operation
def test_compiled(function, x):
    torch._dynamo.reset()
    leaf = x.clone().requires_grad_()
    y = torch.compile(function, backend="aot_eager")(leaf)
    torch.testing.assert_close(y, function(x))
    G = random(*y.shape, seed=5)
    y.backward(G)
    (expected,) = torch.autograd.grad(function(leaf), leaf, G)
    torch.testing.assert_close(leaf.grad, expected)


@pytest.mark.parametrize(
    "operation", [name for name in OPERATIONS if name != "deconvolve weight" and "deconvolved" in name]
)
def test_layers_have_no_full_graph_and_say_so(operation):
    function, x = OPERATIONS[operation]
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported, match="patch_covariance"):
        torch.compile(function, backend="eager", fullgraph=True)(x)


@pytest.mark.parametrize("operation", ["deconvolve weight", "deconvolve mean", "deconvolve D"])
def test_folding_has_a_full_graph(operation):
    function, x = OPERATIONS[operation]
    torch._dynamo.reset()
    torch.testing.assert_close(torch.compile(function, backend="eager", fullgraph=True)(x), function(x))


@pytest.mark.parametrize(
    "layer", [partial(deconvolved_conv2d, weight=FILTERS), partial(deconvolved_linear, weight=MATRIX)]
)
def test_vmap_cannot_check(layer):
    x = X if layer.func is deconvolved_conv2d else ROWS
    with pytest.raises(RuntimeError, match=r"check=True reads values, which torch.func.vmap hides; pass check=False"):
        vmap(lambda x: layer(x, eps=0.1))(torch.stack([x, x]))


@pytest.mark.parametrize("part", ["D", "residual"])
@pytest.mark.parametrize("differentiate", [grad, lambda loss: lambda x: jvp(loss, (x,), (x,))[1]], ids=["grad", "jvp"])
def test_a_root_to_tolerance_has_no_derivative(differentiate, part):
    def loss(A):
        return getattr(inverse_sqrt_to_tolerance(A), part).sum()

    with pytest.raises(NotImplementedError, match=r"have no derivative; differentiate ndbench\.inverse_sqrt"):
        differentiate(loss)(torch.eye(3, dtype=torch.float64))


def test_a_root_to_tolerance_runs_between_compiled_graphs():
    def root(A):
        return inverse_sqrt_to_tolerance(2 * A).D

    torch._dynamo.reset()
    assert torch.equal(torch.compile(root, backend="eager")(COV), root(COV))
    torch._dynamo.reset()
    with pytest.raises(torch._dynamo.exc.Unsupported):
        torch.compile(root, backend="eager", fullgraph=True)(COV)
    torch._dynamo.reset()
    with pytest.raises(NotImplementedError, match="D and the residual have no derivative"):
        torch.compile(root, backend="eager")(COV.clone().requires_grad_()).sum().backward()


def test_a_root_to_tolerance_refuses_backward():
    A = torch.eye(3, dtype=torch.float64, requires_grad=True)
    with pytest.raises(NotImplementedError, match="D and the residual have no derivative"):
        inverse_sqrt_to_tolerance(A).D.sum().backward()


@pytest.mark.parametrize("check", [True, False])
def test_a_root_to_tolerance_is_not_mapped(check):
    with pytest.raises(RuntimeError, match=r"the number of steps depends on values, which torch\.func\.vmap hides"):
        vmap(lambda A: inverse_sqrt_to_tolerance(A, check=check).D)(torch.eye(3).expand(2, 3, 3))


def test_windows_has_no_forward_mode():
    with pytest.raises(NotImplementedError, match="numpy computes none"):
        jvp(lambda x: patch_covariance(x, 2, algorithm="windows"), (X,), (X,))
    with pytest.raises(NotImplementedError, match="numpy computes none"):
        jvp(lambda x: deconvolved_conv2d(x, FILTERS, algorithm="windows"), (X,), (X,))


def test_windows_is_mapped():
    batch = torch.stack([X, 2 * X])
    found = vmap(lambda x: patch_covariance(x, 2, algorithm="windows")[1])(batch)
    torch.testing.assert_close(found, torch.stack([patch_covariance(x, 2)[1] for x in batch]))


def test_compiling_a_transform_is_beyond_pytorch():
    """Its compiler asserts when a function that it may not trace lies inside a transform; documented, not silent."""
    torch._dynamo.reset()
    with pytest.raises(AssertionError):
        torch.compile(grad(lambda x: patch_covariance(x, 2)[1].sum()), backend="eager")(X)
