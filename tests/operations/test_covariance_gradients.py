from functools import partial
from itertools import pairwise, product

import pytest
import torch
from torch.autograd import forward_ad
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

from ndbench.operations import covariance
from ndbench.operations.covariance import patch_covariance

# torch builds its forward mode with torch.jit when it is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

each_algorithm = pytest.mark.parametrize("algorithm", ["im2col", "shifted", "lagged"])
each_adjoint = pytest.mark.parametrize("adjoint", ["handwritten", "autograd"])
each_grouping = pytest.mark.parametrize("grouping", ["channel", "interleaved"])


def image(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def operation(algorithm, adjoint, grouping="channel"):
    """Mean and covariance of 2 x 2 patches in two blocks."""
    return partial(
        patch_covariance, kernel_size=2, padding=1, block=2, grouping=grouping, algorithm=algorithm, adjoint=adjoint
    )


def squares(f):
    """A scalar whose gradient depends on mean and covariance."""
    return lambda x: sum((part**2).sum() for part in f(x))


def assert_same(found, expected):
    for part, true in zip(found, expected, strict=True):
        torch.testing.assert_close(part, true, rtol=1e-11, atol=1e-12)


def stacked(f, *batches):
    """What a map over the batches should give, one by one."""
    return [torch.stack(parts) for parts in zip(*map(f, *batches), strict=True)]


@each_algorithm
@pytest.mark.parametrize("adjoint", ["auto", "handwritten", "autograd"])
@pytest.mark.parametrize("pooled", [True, False])
def test_every_adjoint_with_every_option(algorithm, adjoint, pooled):
    options = {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "block": 2, "pooled": pooled, "eps": 0.5}
    x = image(2, 4, 6, 7).requires_grad_()
    f = squares(partial(patch_covariance, kernel_size=(3, 2), **options, algorithm=algorithm, adjoint=adjoint))
    expected = squares(partial(patch_covariance, kernel_size=(3, 2), **options, algorithm="im2col", adjoint="autograd"))
    assert_same(torch.autograd.grad(f(x), x), torch.autograd.grad(expected(x), x))


@each_algorithm
@pytest.mark.parametrize("adjoint", ["auto", "handwritten"])
def test_the_handwritten_adjoint_is_taken(monkeypatch, algorithm, adjoint):
    taken = []
    run = covariance.ADJOINTS[algorithm]
    monkeypatch.setitem(covariance.ADJOINTS, algorithm, lambda *a: taken.append(algorithm) or run(*a))
    for name in (adjoint, "autograd"):
        x = image(1, 4, 3, 3).requires_grad_()
        squares(operation(algorithm, name))(x).backward()
    assert taken == [algorithm]


@each_algorithm
def test_only_the_input_and_the_mean_are_kept(algorithm):
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        patch_covariance(image(2, 4, 8, 8).requires_grad_(), 3, algorithm=algorithm, adjoint="handwritten")
    assert sorted(kept) == [4 * 9, 2 * 4 * 8 * 8]


@pytest.mark.parametrize("wanted", ["mean", "cov"])
@each_algorithm
def test_gradient_of_one_output(algorithm, wanted):
    gradients = []
    for adjoint in ("handwritten", "autograd"):
        x = image(2, 4, 5, 5).requires_grad_()
        mean, cov = operation(algorithm, adjoint)(x)
        (mean if wanted == "mean" else cov).pow(3).sum().backward()
        gradients.append(x.grad)
    assert_same(gradients[:1], gradients[1:])


@each_algorithm
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types_are_rounded_once(algorithm, dtype):
    x = (image(2, 2, 6, 6) + 1).to(dtype)
    dmean, dcov = image(18, seed=1, dtype=dtype), image(18, 18, seed=2, dtype=dtype)
    f = partial(patch_covariance, kernel_size=3, padding=1, algorithm=algorithm)
    gradients = []
    for t in (dtype, torch.float64):
        y = x.to(t).requires_grad_()
        gradients += torch.autograd.grad(f(y), y, (dmean.to(t), dcov.to(t)))
    assert gradients[0].dtype == dtype
    torch.testing.assert_close(gradients[0].double(), gradients[1], rtol=1.001 * torch.finfo(dtype).eps / 2, atol=1e-5)


@each_algorithm
def test_any_memory_layout(algorithm):
    x, dcov = image(4, 6, 9, 10), image(24, 24, seed=1)
    f = partial(patch_covariance, kernel_size=2, padding=1, algorithm=algorithm)
    for view in (x.to(memory_format=torch.channels_last), x[::2, :, 1:, ::2], x.transpose(2, 3)):
        inputs = [view.detach().requires_grad_(), view.clone().requires_grad_()]
        found, expected = (torch.autograd.grad(f(y)[1], y, dcov.mT) for y in inputs)
        assert_same(found, expected)


@each_grouping
@each_adjoint
@each_algorithm
def test_vmap(algorithm, adjoint, grouping):
    f, X = operation(algorithm, adjoint, grouping), image(3, 2, 4, 3, 4)
    assert_same(vmap(f)(X), stacked(f, X))
    assert_same(vmap(f, in_dims=2)(X.movedim(0, 2)), stacked(f, X))
    gradient = grad(squares(f))
    assert_same([vmap(gradient)(X)], [torch.stack([gradient(x) for x in X])])


@each_adjoint
@each_algorithm
def test_vmap_checks_every_entry(algorithm, adjoint):
    X = image(3, 2, 4, 3, 4)
    X[1, 0, 2, 1, 1] = torch.inf
    with pytest.raises(ValueError, match="x must be finite; got 1 NaN or infinite values of 288"):
        vmap(operation(algorithm, adjoint))(X)


@each_grouping
@each_adjoint
@each_algorithm
def test_jvp_and_vjp(algorithm, adjoint, grouping):
    f, x, E = operation(algorithm, adjoint, grouping), image(2, 4, 3, 4), image(2, 4, 3, 4, seed=1)
    out, tangents = jvp(f, (x,), (E,))
    assert_same(out, f(x))
    h = 1e-4
    differences = [(a - b) / (2 * h) for a, b in zip(f(x + h * E), f(x - h * E), strict=True)]
    for found, expected in zip(tangents, differences, strict=True):
        # mean and covariance are quadratic, so central differences only round
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    upstream = [2 * part for part in out]
    (gradient,) = vjp(f, x)[1](tuple(upstream))
    assert_same([gradient], [grad(squares(f))(x)])
    left = sum((g * t).sum() for g, t in zip(upstream, tangents, strict=True))
    torch.testing.assert_close(left, (gradient * E).sum(), rtol=1e-13, atol=1e-13)


@each_grouping
@each_adjoint
@each_algorithm
def test_jacobians_and_maps_of_derivatives(algorithm, adjoint, grouping):
    f, X, E = operation(algorithm, adjoint, grouping), image(2, 1, 4, 2, 3), image(2, 1, 4, 2, 3, seed=1)
    assert_same(jacrev(f)(X[0]), jacfwd(f)(X[0]))

    def tangent(x, e):
        return jvp(f, (x,), (e,))[1]

    assert_same(vmap(tangent)(X, E), stacked(tangent, X, E))


@each_adjoint
@each_algorithm
def test_second_derivatives(algorithm, adjoint):
    f, x = squares(operation(algorithm, adjoint)), image(1, 4, 2, 2)
    H = hessian(f)(x)
    for twice in (jacrev(jacrev(f)), jacrev(jacfwd(f)), jacfwd(jacfwd(f))):
        assert_same([H], [twice(x)])
    assert_same([H], [hessian(squares(operation("im2col", "autograd")))(x)])
    y = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(f(y), y, create_graph=True)
    (found,) = torch.autograd.grad(gradient, y, x)
    assert_same([found], [(H * x).sum((-4, -3, -2, -1))])


@each_algorithm
def test_third_derivatives(algorithm):
    f, g = (squares(operation(*way)) for way in ((algorithm, "handwritten"), ("im2col", "autograd")))
    x = image(1, 2, 1, 2)
    expected = jacrev(jacrev(jacrev(g)))(x)
    assert expected.abs().max() > 0.1
    for modes in product((jacrev, jacfwd), repeat=3):
        found = f
        for mode in modes:
            found = mode(found)
        assert_same([found(x)], [expected])


@each_adjoint
@each_algorithm
def test_dual_numbers(algorithm, adjoint):
    f, x, E = operation(algorithm, adjoint), image(2, 4, 3, 3), image(2, 4, 3, 3, seed=1)
    expected = jvp(f, (x,), (E,))[1]
    with forward_ad.dual_level():
        found = [forward_ad.unpack_dual(part).tangent for part in f(forward_ad.make_dual(x, E))]
    assert_same(found, expected)


# what the compiler looks up about the tensors between its graphs
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@each_adjoint
@each_algorithm
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_code_runs_it_as_it_is(algorithm, adjoint, backend):
    f, x = operation(algorithm, adjoint), image(2, 4, 3, 4).requires_grad_()

    def scaled(x):
        return squares(f)(2 * x)

    torch.compiler.reset()
    (found,) = torch.autograd.grad(torch.compile(scaled, backend=backend)(x), x)
    assert_same([found], torch.autograd.grad(scaled(x), x))


def test_one_compiled_graph_is_refused():
    torch.compiler.reset()
    compiled = torch.compile(operation("lagged", "auto"), backend="eager", fullgraph=True)
    with pytest.raises(torch._dynamo.exc.Unsupported, match="patch_covariance plans its products in Python"):
        compiled(image(2, 4, 3, 4))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"adjoint": "reverse"}, "adjoint must be auto, autograd or handwritten; got 'reverse'"),
        (
            {"adjoint": "handwritten", "algorithm": "windows"},
            "algorithm 'windows' has no handwritten adjoint; choose one of im2col, shifted, lagged",
        ),
    ],
)
def test_refused(options, message):
    with pytest.raises(ValueError, match="patch_covariance: " + message):
        patch_covariance(image(1, 1, 3, 3), 2, **options)


def test_windows_has_no_gradient():
    patch_covariance(image(1, 1, 3, 3), 2, algorithm="windows", adjoint="autograd")
    with pytest.raises(ValueError, match="windows: x must not require a gradient"):
        patch_covariance(image(1, 1, 3, 3).requires_grad_(), 2, algorithm="windows")


@each_algorithm
def test_repeated_gradients_are_bitwise_equal(algorithm):
    gradients = []
    for _ in range(3):
        x = image(4, 4, 9, 9, dtype=torch.float32).requires_grad_()
        squares(operation(algorithm, "handwritten"))(x).backward()
        gradients.append(x.grad)
    assert all(torch.equal(a, b) for a, b in pairwise(gradients))
