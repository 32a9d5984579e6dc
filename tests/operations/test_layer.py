import pytest
import torch
from torch.func import grad, hessian, jacfwd, jacrev, jvp, vmap
from torch.nn import functional

from ndbench.operations.layer import deconvolved_conv2d, deconvolved_linear

# torch builds its forward mode with torch.jit when it is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

GEOMETRY = {"stride": 1, "padding": 0, "dilation": 1}


def random(*shape, seed=0, dtype=torch.float64):
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)).to(dtype)


def newton_schulz(A, steps=5):
    c, identity = torch.linalg.matrix_norm(A)[..., None, None], torch.eye(A.shape[-1], dtype=A.dtype)
    Y, Z = A / c, identity.expand(A.shape)
    for _ in range(steps):
        S = (3 * identity - Z @ Y) / 2
        Y, Z = Y @ S, S @ Z
    return Z / c.sqrt()


def rows(x, kernel, geometry, blocks, grouping):
    """The blocks of all patches, (blocks, N L, F)."""
    patches = functional.unfold(x, kernel, geometry["dilation"], geometry["padding"], geometry["stride"])
    patches = patches.mT.flatten(0, 1)
    if grouping == "interleaved":
        return torch.stack([patches[:, b::blocks] for b in range(blocks)])
    return torch.stack(patches.chunk(blocks, 1))


def whitened(x, y, weight, bias, options):
    """The convolution of x's patches, whitened one by one with the statistics of y."""
    options = {"block": None, "pooled": None, "grouping": "channel", "groups": 1, "sampling_stride": 1} | options
    groups, kernel = options["groups"], weight.shape[2:]
    geometry = {name: options.get(name, default) for name, default in GEOMETRY.items()}
    blocks = x.shape[1] // (options["block"] or weight.shape[1])
    samples = rows(y, kernel, geometry | {"stride": options["sampling_stride"]}, blocks, options["grouping"])
    if groups == 1 if options["pooled"] is None else options["pooled"]:
        samples = samples.reshape(1, -1, samples.shape[-1])
    mean = samples.mean(1, keepdim=True)
    cov = (samples - mean).mT @ (samples - mean) / samples.shape[1]
    D = newton_schulz(cov + options.get("eps", 1e-5) * torch.eye(cov.shape[-1], dtype=cov.dtype))
    white = (rows(x, kernel, geometry, blocks, options["grouping"]) - mean) @ D
    if options["grouping"] == "interleaved":
        white = white.permute(1, 2, 0).flatten(1)
    else:
        white = white.permute(1, 0, 2).flatten(1)
    parts = zip(white.chunk(groups, 1), weight.flatten(1).chunk(groups), strict=True)
    out = torch.cat([part @ w.T for part, w in parts], 1) + (0 if bias is None else bias)
    return out.view(len(x), -1, len(weight)).mT


CASES = (
    ((3, 4, 5, 4), (3, 4, 1, 1), {}),
    ((3, 4, 5, 4), (3, 4, 1, 1), {"block": 2, "stride": 2}),
    ((3, 4, 5, 4), (3, 4, 1, 1), {"block": 2, "grouping": "interleaved", "pooled": False}),
    ((4, 2, 6, 6), (3, 2, 3, 3), {}),
    ((4, 2, 6, 5), (3, 2, 3, 3), {"padding": 1, "pooled": False}),
    ((4, 4, 6, 5), (2, 4, 3, 3), {"padding": 1, "block": 2, "pooled": True}),
    ((4, 4, 6, 5), (2, 4, 3, 3), {"padding": 1, "block": 2, "pooled": False}),
    ((4, 4, 6, 5), (2, 4, 3, 3), {"padding": 1, "block": 2, "grouping": "interleaved"}),
    ((4, 4, 6, 5), (2, 4, 3, 3), {"padding": 1, "block": 1, "grouping": "interleaved", "pooled": False}),
    ((4, 2, 8, 7), (3, 2, 3, 3), {"stride": 2, "padding": 1}),
    ((4, 2, 8, 9), (3, 2, 3, 3), {"stride": 2, "padding": 2, "dilation": 2, "sampling_stride": 3}),
    ((4, 2, 8, 7), (3, 2, 2, 3), {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2), "sampling_stride": (1, 2)}),
    ((4, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1}),
    ((4, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "padding": 1, "block": 1}),
    ((4, 4, 5, 5), (6, 2, 3, 3), {"groups": 2, "stride": 2, "pooled": True}),
    ((4, 4, 5, 5), (4, 1, 2, 2), {"groups": 4, "eps": 1e-2}),
)

each_case = pytest.mark.parametrize(("shape", "kernel", "options"), CASES, ids=str)


def inputs(shape, kernel):
    """x with a mean, channels of different size and neighbours that look alike; weight and bias."""
    x = random(*shape) + 0.5 * torch.arange(1.0, shape[1] + 1)[:, None, None]
    x = x + x.roll(1, 3) + x.roll(1, 1) / 2
    return x, random(*kernel, seed=1), random(kernel[0], seed=2)


def gradients(f, *arguments, upstream=None):
    arguments = [argument.detach().requires_grad_() for argument in arguments]
    out = f(*arguments)
    return torch.autograd.grad(out, arguments, random(*out.shape, seed=3) if upstream is None else upstream)


@pytest.mark.parametrize("with_bias", [True, False])
@pytest.mark.parametrize("algorithm", ["auto", "lagged"])
@each_case
def test_equals_whitening_patch_by_patch(shape, kernel, options, algorithm, with_bias):
    x, weight, bias = inputs(shape, kernel)
    bias = bias if with_bias else None
    found = deconvolved_conv2d(x, weight, bias, **options, algorithm=algorithm)
    expected = whitened(x, x, weight, bias, options)
    torch.testing.assert_close(found.flatten(2), expected, rtol=1e-11, atol=1e-11 * expected.abs().max())


@pytest.mark.parametrize("correction", [True, False])
@pytest.mark.parametrize("adjoint", ["handwritten", "autograd"])
@each_case
def test_gradients_equal_autograd_through_whitening(shape, kernel, options, adjoint, correction):
    def layer(*arguments):
        ways = {"correction": correction, "algorithm": "lagged", "adjoint": adjoint}
        return deconvolved_conv2d(*arguments, **options, **ways).flatten(2)

    def explicit(x, weight, bias):
        return whitened(x, x if correction else x.detach(), weight, bias, options)

    arguments = inputs(shape, kernel)
    for part, true in zip(gradients(layer, *arguments), gradients(explicit, *arguments), strict=True):
        torch.testing.assert_close(part, true, rtol=0, atol=1e-11 * true.abs().max())


def central_difference(f, x, direction):
    """The derivative along a direction, extrapolated from two steps: the error of the smaller is O(h^4)."""
    h = 1e-3
    coarse, fine = ((f(x + s * direction) - f(x - s * direction)) / (2 * s) for s in (2 * h, h))
    return (4 * fine - coarse) / 3


@each_case
def test_the_full_gradient_passes_differences_and_the_detached_one_fails(shape, kernel, options):
    x, weight, bias = inputs(shape, kernel)
    upstream = random(*deconvolved_conv2d(x, weight, bias, **options).shape, seed=3)

    def loss(x, weight, bias, correction=True):
        return (deconvolved_conv2d(x, weight, bias, **options, correction=correction) * upstream).sum()

    one = torch.tensor(1.0, dtype=x.dtype)
    full = gradients(loss, x, weight, bias, upstream=one)
    detached = gradients(lambda *a: loss(*a, correction=False), x, weight, bias, upstream=one)
    # the term itself: only the statistics move
    (term,) = gradients(lambda y: whitened(x, y, weight, bias, options), x, upstream=upstream.flatten(2))
    torch.testing.assert_close(full[0] - detached[0], term, rtol=0, atol=1e-11 * full[0].abs().max())
    assert term.norm() > 0.05 * full[0].norm()
    # along the term the two differ by its whole norm
    along = term / term.norm()
    difference = central_difference(lambda x: loss(x, weight, bias), x, along)
    scale = full[0].norm()
    assert (difference - (full[0] * along).sum()).abs() <= 1e-8 * scale
    assert (difference - (detached[0] * along).sum()).abs() >= 0.04 * scale
    for number, argument in ((1, weight), (2, bias)):
        E = random(*argument.shape, seed=4)
        arguments = [x, weight, bias]
        arguments[number] = None
        difference = central_difference(
            lambda a, number=number, rest=arguments: loss(*rest[:number], a, *rest[number + 1 :]), argument, E
        )
        assert (difference - (full[number] * E).sum()).abs() <= 1e-9 * full[number].norm() * E.norm()
        assert torch.equal(full[number], detached[number])


@pytest.mark.parametrize(("shape", "kernel", "options"), [CASES[1], CASES[8], CASES[11], CASES[13]], ids=str)
def test_every_direction_agrees_with_differences(shape, kernel, options):
    x, weight, bias = (argument.requires_grad_() for argument in inputs((2, *shape[1:]), kernel))
    assert torch.autograd.gradcheck(
        lambda *a: deconvolved_conv2d(*a, **(options | {"eps": 0.1}), check=False),
        (x, weight, bias),
        rtol=1e-6,
        atol=1e-7,
        eps=1e-5,
    )


def test_no_gradient_reaches_detached_statistics():
    x, weight, _ = inputs((2, 2, 4, 4), (2, 2, 2, 2))
    options = {"correction": False, "check": False}
    (found,) = gradients(lambda x: deconvolved_conv2d(x, weight, **options), x)
    E = random(*x.shape, seed=4)
    out, tangent = jvp(lambda x: deconvolved_conv2d(x, weight, **options), (x,), (E,))
    torch.testing.assert_close((random(*out.shape, seed=3) * tangent).sum(), (found * E).sum(), rtol=1e-12, atol=1e-12)


def test_the_sampling_stride_does_not_follow_the_stride():
    x, weight, bias = inputs((2, 2, 7, 7), (3, 2, 3, 3))
    every = deconvolved_conv2d(x, weight, bias, stride=1)
    torch.testing.assert_close(deconvolved_conv2d(x, weight, bias, stride=2), every[:, :, ::2, ::2])


def test_whitens():
    x, _, _ = inputs((16, 2, 8, 8), (1, 2, 2, 2))
    y = deconvolved_conv2d(x, torch.eye(8, dtype=x.dtype).view(8, 2, 2, 2), method="spectral", eps=0.0)
    found = torch.cov(y.movedim(1, 0).flatten(1), correction=0)
    torch.testing.assert_close(found, torch.eye(8, dtype=x.dtype), rtol=0, atol=1e-10)
    assert y.mean((0, 2, 3)).abs().max() < 1e-11


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_half_types(dtype):
    x, weight, bias = (argument.to(dtype) for argument in inputs((4, 2, 5, 5), (3, 2, 2, 2)))
    found = deconvolved_conv2d(x, weight, bias)
    expected = deconvolved_conv2d(x.double(), weight.double(), bias.double())
    assert found.dtype == dtype
    u = torch.finfo(dtype).eps / 2
    # weight, bias and output are rounded; the sum of 8 products with values up to 8 grows with them
    torch.testing.assert_close(found.double(), expected, rtol=0, atol=16 * u * expected.abs().max())
    rows, matrix = x.flatten(1)[:, :4].repeat(4, 1) + x.flatten(1)[:1, :1], weight.flatten(1)[:, :4]
    assert deconvolved_linear(rows, matrix, bias).dtype == dtype


LINEAR = ({}, {"block": 2}, {"block": 2, "pooled": False}, {"block": 3, "grouping": "interleaved", "eps": 1e-2})


@pytest.mark.parametrize("correction", [True, False])
@pytest.mark.parametrize("options", LINEAR, ids=str)
def test_linear_is_a_convolution_of_one_pixel(options, correction):
    def linear(*arguments):
        return deconvolved_linear(*arguments, **options, correction=correction)

    def convolution(x, weight, bias):
        pixels = x.reshape(-1, 6, 1, 1)
        y = whitened(pixels, pixels if correction else pixels.detach(), weight[..., None, None], bias, options)
        return y.reshape(*x.shape[:-1], -1)

    arguments = random(5, 4, 6) + 1, random(3, 6, seed=1), random(3, seed=2)
    torch.testing.assert_close(linear(*arguments), convolution(*arguments), rtol=1e-11, atol=1e-11)
    for found, true in zip(gradients(linear, *arguments), gradients(convolution, *arguments), strict=True):
        torch.testing.assert_close(found, true, rtol=0, atol=1e-11 * true.abs().max())


def test_linear_agrees_with_differences():
    x, weight, bias = (a.requires_grad_() for a in (random(8, 4) + 1, random(3, 4, seed=1), random(3, seed=2)))
    assert torch.autograd.gradcheck(
        lambda *a: deconvolved_linear(*a, block=2, eps=0.1), (x, weight, bias), rtol=1e-7, atol=1e-8
    )


def test_transforms():
    X, weight, _ = inputs((6, 2, 3, 3), (2, 2, 2, 2))
    X = X.view(3, 2, 2, 3, 3)

    def f(x):
        return deconvolved_conv2d(x, weight, eps=0.1, check=False, algorithm="lagged")

    def loss(x):
        return f(x).pow(2).sum()

    torch.testing.assert_close(vmap(f)(X), torch.stack([f(x) for x in X]))
    torch.testing.assert_close(vmap(grad(loss))(X), torch.stack([grad(loss)(x) for x in X]))
    torch.testing.assert_close(jacrev(f)(X[0]), jacfwd(f)(X[0]))
    torch.testing.assert_close(hessian(loss)(X[0]), jacrev(jacrev(loss))(X[0]))


# what the compiler looks up about tensors between its graphs, and how it traces autograd functions
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled(backend):
    x, weight, bias = inputs((4, 2, 4, 4), (2, 2, 2, 2))
    torch.compiler.reset()
    compiled = torch.compile(lambda *a: deconvolved_conv2d(*a, check=False), backend=backend)
    found = gradients(compiled, x, weight, bias)
    for part, true in zip(found, gradients(deconvolved_conv2d, x, weight, bias), strict=True):
        torch.testing.assert_close(part, true, rtol=0, atol=1e-11 * true.abs().max())


@pytest.mark.parametrize("correction", [True, False])
def test_leaves_its_arguments_alone(correction):
    arguments = inputs((4, 2, 4, 4), (2, 2, 2, 2))
    before = [argument.clone() for argument in arguments]
    gradients(lambda *a: deconvolved_conv2d(*a, correction=correction), *arguments)
    assert all(torch.equal(a, b) for a, b in zip(arguments, before, strict=True))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        (((2, 4, 3, 3), (3, 2, 1, 1)), {}, ValueError, "the weight must have C / groups = 4 / 1 channels"),
        (((2, 4, 3, 3), (4, 2, 1, 1)), {"groups": 0}, ValueError, "the weight must have C / groups = 4 / 0 channels"),
        (((2, 4, 3, 3), (3, 4)), {}, ValueError, "x and weight must have four dimensions"),
        (((2, 4, 3, 3), (4, 2, 1, 1)), {"groups": 2, "block": 4}, ValueError, "block must divide the 2 channels"),
        (((2, 4, 3, 3), (3, 4, 1, 1)), {"block": 0}, ValueError, "block must divide the 4 channels of a group; got 0"),
        (((2, 4, 3, 3), (4, 2, 2, 2)), {"groups": 2, "grouping": "interleaved"}, ValueError, "interleaved blocks"),
        (((2, 4, 3, 3), (3, 2, 1, 1)), {"groups": 2, "pooled": True}, ValueError, "the 2 groups must divide the 3 out"),
        (((2, 4, 3, 3), (4, 2, 1, 1)), {"groups": 2.0}, TypeError, "groups must be an integer; got 2.0"),
        (((2, 4, 3, 3), (3, 4, 1, 1)), {"stride": 0}, ValueError, "stride must be .* at least 1; got 0"),
        (((2, 4, 3, 3), (3, 4, 1, 1)), {"sampling_stride": 0}, ValueError, "sampling_stride must be .*; got 0"),
        (((2, 4, 3, 3), (3, 4, 1, 1)), {"padding": "same"}, TypeError, "padding must be .*; got 'same'"),
    ],
)
def test_refused_convolutions(arguments, options, error, message):
    with pytest.raises(error, match="deconvolved_conv2d: .*" + message):
        deconvolved_conv2d(*(random(*shape) for shape in arguments), **options)


def test_refused_types():
    x, weight, bias = inputs((4, 2, 4, 4), (2, 2, 2, 2))
    with pytest.raises(TypeError, match=r"deconvolved_conv2d: weight must have x's type torch\.float64; got .*float32"):
        deconvolved_conv2d(x, weight.float(), bias)
    with pytest.raises(
        TypeError, match=r"deconvolved_conv2d: x must be a real floating-point tensor; got torch\.int64"
    ):
        deconvolved_conv2d(x.long(), weight, bias)
    with pytest.raises(TypeError, match="deconvolved_linear: bias must be a real floating-point tensor; got list"):
        deconvolved_linear(x[0, 0], random(3, 4), [1.0])


@pytest.mark.parametrize("shapes", [((4,), (3, 4)), ((2, 4), (3, 5)), ((2, 4), (3, 4, 1, 1))], ids=str)
def test_refused_linear_layers(shapes):
    with pytest.raises(ValueError, match=r"deconvolved_linear: x must be \(\.\.\., C\) and the weight \(O, C\)"):
        deconvolved_linear(*(random(*shape) for shape in shapes))
