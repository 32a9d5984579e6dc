"""The published layers against a rendering of the published method, written as plain tensor operations."""

import copy

import pytest
import torch
from torch.nn import functional

from ndbench.layers.published import ChannelDeconv, Delinear, FastDeconv
from ndbench.roots import newton_schulz
from tests.layers.makers import compiles


def images(*shape, seed=0):
    x = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    return x + 0.5 * x.roll(1, 1) + 1


def root_of(X, eps, steps):
    """Mean of rows, and the Newton-Schulz root of their covariance."""
    mean = X.mean(-2)
    centered = X - mean[..., None, :]
    cov = centered.mT @ centered / X.shape[-2]
    return mean, newton_schulz(cov + eps * torch.eye(X.shape[-1], dtype=X.dtype), steps)


def average(old, new, momentum=0.1):
    return (1 - momentum) * old + momentum * new


CONVOLUTIONS = {
    "blocks": ((8, 6, 3), {"padding": 1, "block": 4}),
    "common divisor": ((6, 4, 3), {"block": 4, "stride": 2}),
    "all": ((3, 4, 3), {"padding": 1, "dilation": 2, "n_iter": 7, "eps": 1e-2}),
    "pixels": ((8, 6, 1), {"block": 4, "sampling_stride": 2}),
    "pixels, strided": ((4, 6, 1), {"stride": 2, "padding": 1}),
    "groups": ((8, 6, 3), {"groups": 2, "padding": 1, "momentum": 0.3}),
}


def rendered_convolution(made, x, mean, D):
    """What the published layer computes from mean and D: the weight, regrouped, times D."""
    groups, F = made.groups, D.shape[-1]
    if groups == 1:
        w = made.weight.reshape(len(made.weight), F, -1).mT @ D  # column j is number j // G of group j % G
        b = made.bias - (w @ mean).sum(-1)
        w = w.mT
    else:
        w = made.weight.reshape(groups, -1, F) @ D
        b = made.bias - (w @ mean.reshape(groups, F, 1)).flatten()
    weight = w.reshape(made.weight.shape)
    return functional.conv2d(x, weight, b, made.stride, made.padding, made.dilation, groups)


def rendered_rows(made, x):
    """Rows of the data matrix, (M, F) or (groups, M, F)."""
    step = made.sampling_stride * made.stride[0]
    if made.kernel_size == (1, 1):
        X = x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])[:: step**2]
    else:
        X = functional.unfold(x, made.kernel_size, made.dilation, made.padding, step).mT.reshape(
            -1, x.shape[1] * made.kernel_size[0] * made.kernel_size[1]
        )
    F = made.running_deconv.shape[-1]
    if made.groups > 1:
        return X.reshape(len(X), made.groups, F).transpose(0, 1)
    return X.reshape(len(X), F, -1).mT.reshape(-1, F)


@pytest.mark.parametrize(("arguments", "options"), CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_convolution(arguments, options):
    torch.manual_seed(0)
    made = FastDeconv(*arguments, **options).double()
    mean, D = made.running_mean.clone(), made.running_deconv.clone()
    steps, momentum = made.options.steps, made.options.momentum
    for seed in (0, 1):
        x = images(4, arguments[0], 9, 8, seed=seed).requires_grad_()
        batch = root_of(rendered_rows(made, x), made.options.eps, steps)
        wanted = rendered_convolution(made, x, *batch)
        found = made(x)
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
        g, leaves = images(*found.shape, seed=9), [x, made.weight, made.bias]
        torch.testing.assert_close(
            torch.autograd.grad(found, leaves, g), torch.autograd.grad(wanted, leaves, g), rtol=1e-10, atol=1e-10
        )
        mean, D = average(mean, batch[0].detach(), momentum), average(D, batch[1].detach(), momentum)
        torch.testing.assert_close(made.running_mean, mean, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(made.running_deconv, D, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(made.eval()(x), rendered_convolution(made, x, mean, D), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
def test_published_state_dicts(groups):
    """Keys and shapes are those of the published code: one vector of means, no count."""
    state = {
        "weight": torch.randn(4, 8 // groups, 3, 3),
        "bias": torch.randn(4),
        "running_mean": torch.randn(8 * 9),
        "running_deconv": torch.eye(72) if groups == 1 else torch.eye(36).repeat(2, 1, 1),
    }
    made = FastDeconv(8, 4, 3, groups=groups)
    made.load_state_dict(state)
    torch.testing.assert_close(dict(made.state_dict()), state, rtol=0, atol=0)
    with pytest.raises(RuntimeError, match="size mismatch for running_mean"):
        made.load_state_dict(state | {"running_mean": torch.zeros(5)})


def test_freezing_comes_and_goes():
    made, live = FastDeconv(2, 2, 1, freeze=True, freeze_iter=2), []
    for seed in range(24):
        before = made.running_deconv.clone()
        made(images(3, 2, 4, 4, seed=seed).float())
        live.append(not torch.equal(before, made.running_deconv))
    # batches 0 to 2, and again from 20 on
    assert live == [k % 20 <= 2 for k in range(24)]


@pytest.mark.parametrize(("features", "block", "divisor"), [(6, 512, 6), (6, 4, 2), (6, 3, 3)])
def test_linear(features, block, divisor):
    torch.manual_seed(0)
    made = Delinear(features, 4, block=block).double()
    x = images(20, features).requires_grad_()
    X = x.reshape(-1, divisor)
    mean, D = root_of(X, 1e-5, 5)
    w = made.weight.reshape(-1, divisor) @ D
    b = made.bias - (w @ mean).reshape(4, -1).sum(1)
    wanted, found = functional.linear(x, w.reshape(4, features), b), made(x)
    torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
    leaves, g = [x, made.weight, made.bias], images(20, 4, seed=3)
    torch.testing.assert_close(
        torch.autograd.grad(found, leaves, g), torch.autograd.grad(wanted, leaves, g), rtol=1e-10, atol=1e-10
    )
    torch.testing.assert_close(made.running_mean, 0.1 * mean.detach())
    torch.testing.assert_close(made.running_deconv, 0.9 * torch.eye(divisor).double() + 0.1 * D.detach())
    assert made.state_dict().keys() == {"weight", "bias", "running_mean", "running_deconv"}


CHANNELS = {
    "whole": ((5, 8, 7, 6), {}),
    "remainder": ((5, 10, 7, 6), {"sampling_stride": 2}),
    "small": ((5, 9, 2, 2), {}),
    "rows": ((40, 9), {"n_iter": 3}),
}


@pytest.mark.parametrize(("shape", "options"), CHANNELS.values(), ids=CHANNELS)
def test_channels(shape, options):
    made = ChannelDeconv(4, **options).double()
    averages = None
    for seed in (0, 1):
        x = images(*shape, seed=seed).requires_grad_()
        image = x.reshape(*shape, *([1] * (4 - len(shape))))
        whole, step = shape[1] // 4 * 4, made.sampling_stride
        step = step**2 if min(image.shape[2:]) >= step else 1
        X = image[:, :whole].permute(1, 0, 2, 3).reshape(4, -1)
        S = X[:, ::step]
        mean = S.mean(1, keepdim=True)
        D = newton_schulz(S @ S.T / S.shape[1] + 1e-2 * torch.eye(4, dtype=torch.float64), made.n_iter)
        white = (D @ (X - mean)).reshape(whole, shape[0], *image.shape[2:]).transpose(0, 1)
        rest = image[:, whole:]
        new = [mean.detach(), D.detach()]
        if shape[1] > whole:
            sample = rest.flatten(1)[:, ::step]
            new += [sample.mean().detach().view(1, 1), sample.var().detach().view(1, 1)]
            rest = (rest - sample.mean()) / (sample.var() + 1e-2).sqrt()
        wanted, found = torch.cat([white, rest], 1).reshape(shape), made(x)
        torch.testing.assert_close(found, wanted, rtol=1e-11, atol=1e-11)
        g = images(*shape, seed=7)
        torch.testing.assert_close(
            torch.autograd.grad(found, x, g), torch.autograd.grad(wanted, x, g), rtol=1e-10, atol=1e-10
        )
        averages = new if averages is None else [average(old, n) for old, n in zip(averages, new, strict=True)]
    names = ("running_mean1", "running_deconv", "running_mean2", "running_var")
    for name, wanted in zip(names, averages, strict=False):
        torch.testing.assert_close(getattr(made, name), wanted, rtol=1e-12, atol=1e-12)
    y = made.eval()(x)
    whole_y = averages[1] @ (X - averages[0])
    torch.testing.assert_close(
        y.reshape(image.shape)[:, :whole], whole_y.reshape(whole, shape[0], *image.shape[2:]).transpose(0, 1)
    )


def test_channels_of_bad_inputs():
    made = ChannelDeconv(4)
    with pytest.raises(RuntimeError, match="there are no statistics yet; train first"):
        made.eval()(torch.zeros(2, 4))
    made.train()
    for shape in ((2, 3), (2, 4, 5), (0, 4)):
        with pytest.raises(ValueError, match=r"must be \(N, C\) or \(N, C, H, W\) with at least 4 channels"):
            made(torch.zeros(shape))
    with pytest.raises(ValueError, match="statistics are not finite; the running averages are as they were"):
        made(torch.full((3, 4), torch.nan))
    assert made.num_batches_tracked == 0


NARROW = [torch.float16, torch.bfloat16]


def channel_layer(channels, dtype=torch.float32):
    """A layer after one batch, and another batch of large mean."""
    x = (60 * (images(6, channels, 6, 6) + 2)).to(dtype)
    made = ChannelDeconv(4)
    made(x)
    return made, x


@pytest.mark.parametrize("channels", [8, 10], ids=["whole", "rest"])
@pytest.mark.parametrize("dtype", NARROW)
@pytest.mark.parametrize("training", [True, False])
def test_channels_of_16_bits_round_once(training, dtype, channels):
    made, x = channel_layer(channels, dtype)
    wide = copy.deepcopy(made)
    made.to(dtype)
    y, wanted = made.train(training)(x), wide.train(training)(x.float())
    assert y.dtype == dtype
    torch.testing.assert_close(y, wanted.to(dtype), rtol=0, atol=0)
    torch.testing.assert_close(dict(made.state_dict()), dict(wide.state_dict()), rtol=0, atol=0)


@pytest.mark.parametrize("training", [True, False])
def test_channels_lose_no_digits_in_autocast(training):
    made, x = channel_layer(10)
    same = copy.deepcopy(made)
    with torch.autocast("cpu", torch.bfloat16):
        y = made.train(training)(x)
    assert torch.equal(y, same.train(training)(x))
    assert torch.equal(made.running_deconv, same.running_deconv)


def test_channels_of_other_types_are_refused():
    made, _ = channel_layer(8)
    for dtype in (torch.int64, torch.complex64):
        with pytest.raises(TypeError, match=f"^ChannelDeconv: the input must be real floating point; got {dtype}"):
            made(torch.ones(6, 8, dtype=dtype))
    with pytest.raises(TypeError, match=r"^ChannelDeconv: the input must be a tensor; got a list"):
        made([1])
    assert made.num_batches_tracked == 1


@compiles
@pytest.mark.parametrize("channels", [8, 10], ids=["whole", "rest"])
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_channels_compile_without_a_break(backend, channels):
    made, same = ChannelDeconv(4), ChannelDeconv(4)
    torch.compiler.reset()
    compiled = torch.compile(same, fullgraph=True, backend=backend)
    for seed in range(3):
        x = images(5, channels, 7, 6, seed=seed).float().requires_grad_()
        y, found = made(x), compiled(x)
        torch.testing.assert_close(found, y)
        g = torch.randn_like(y)
        torch.testing.assert_close(torch.autograd.grad(found, x, g), torch.autograd.grad(y, x, g))
    torch.testing.assert_close(same.state_dict(), made.state_dict())
    torch.testing.assert_close(torch.compile(same.eval(), fullgraph=True, backend=backend)(x), made.eval()(x))


@compiles
@pytest.mark.parametrize("channels", [8, 10], ids=["whole", "rest"])
def test_channels_of_a_bad_batch_are_reported_later(channels):
    made, x = channel_layer(channels)
    kept = copy.deepcopy(made.state_dict())
    torch.compiler.reset()
    compiled = torch.compile(made, fullgraph=True, backend="eager")
    x[0, -1] = torch.nan
    assert compiled(x).isnan().all()
    with pytest.raises(ValueError, match=r"^Sequential: a batch held NaN, .*, in 0 \(ChannelDeconv\); the running"):
        torch.nn.Sequential(made).eval()
    torch.testing.assert_close(made.state_dict(), kept, rtol=0, atol=0)


@compiles
def test_channels_without_statistics_are_nan_where_nobody_waits():
    torch.compiler.reset()
    made = ChannelDeconv(4).eval()
    assert torch.compile(made, fullgraph=True, backend="eager")(torch.ones(3, 5)).isnan().all()


def test_channels_without_values():
    made = ChannelDeconv(4).to("meta")
    for training in (True, False):
        assert made.train(training)(torch.ones(3, 9, 5, 5, device="meta")).shape == (3, 9, 5, 5)


def test_reset_begins_to_count_anew():
    made = FastDeconv(4, 2, 3, freeze=True, freeze_iter=1)
    x = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for _ in range(3):
        made(x)
    assert made.frozen
    made.reset_running_stats()
    assert not made.frozen
    made(x)
    torch.testing.assert_close(made.running_mean, 0.1 * made.moments(x)[0])
