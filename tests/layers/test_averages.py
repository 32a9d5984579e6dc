"""Running averages: what a batch weighs in them, and how they begin, end and begin anew."""

import pytest
import torch
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from ndbench.layers import ChannelDeconv2d, Deconv2d
from tests.layers.makers import batches, every_layer


def statistics(make, xs, **options):
    """Mean and second of every batch alone."""
    found = []
    for x in xs:
        alone = make(dtype=torch.float64, **options)
        alone(x)
        found.append((alone.running_mean, getattr(alone, alone._second)))
    return found


WEIGHTS = {
    "exponential": ({"momentum": 0.3}, [0.7**2, 0.7, 1.0]),
    "cumulative": ({"momentum": None}, [1.0, 1.0, 1.0]),
    "last": ({"momentum": 1.0}, [0.0, 0.0, 1.0]),
}


@every_layer
@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
@pytest.mark.parametrize(("options", "weights"), WEIGHTS.values(), ids=WEIGHTS)
def test_averages(make, shape, running, options, weights):
    xs = batches(shape, 3)
    made = make(dtype=torch.float64, running=running, **options)
    for x in xs:
        made(x)
    alone = statistics(make, xs, running=running)
    for average, values in zip((made.running_mean, getattr(made, made._second)), zip(*alone, strict=True), strict=True):
        wanted = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
        torch.testing.assert_close(average, wanted, rtol=1e-12, atol=1e-12)
    assert made.num_batches_tracked == 3


@pytest.mark.parametrize("momentum", [1e-3, 1e-8, 1e-20])
def test_small_momenta_average_all_batches_alike(momentum):
    xs = batches((5, 4, 7, 6), 3, torch.float32)
    made, wanted = ChannelDeconv2d(4, momentum=momentum), ChannelDeconv2d(4, momentum=None)
    made(xs[0])
    wanted(xs[0])
    torch.testing.assert_close(made.running_mean, wanted.running_mean, rtol=1e-6, atol=1e-6)
    for x in xs[1:]:
        made(x)
        wanted(x)
    torch.testing.assert_close(made.running_deconv, wanted.running_deconv, rtol=1e-6, atol=1e-6 + 10 * momentum)


@every_layer
def test_averages_without_bias_correction_begin_at_the_identity(make, shape):
    xs = batches(shape, 2)
    made = make(dtype=torch.float64, momentum=0.3, bias_correction=False)
    initial = made.running_deconv.clone()
    for x in xs:
        made(x)
    (_, first), (_, second) = statistics(make, xs)
    torch.testing.assert_close(made.running_deconv, 0.49 * initial + 0.21 * first + 0.3 * second)


@every_layer
def test_evaluation_takes_the_root_of_the_average_covariance(make, shape):
    xs = batches(shape, 2)
    made = make(dtype=torch.float64, running="covariance", momentum=None)
    for x in xs:
        made(x)
    made.eval()
    _, D = made.averages()
    torch.testing.assert_close(D, made.root(sum(cov for _, cov in statistics(make, xs, running="covariance")) / 2))
    before = made(xs[0])
    assert before.isfinite().all()
    made.running_cov.mul_(4)
    with torch.no_grad():
        made.running_mean.zero_()
    torch.testing.assert_close(made.averages()[1], D / 2)  # five steps are homogeneous


@every_layer
def test_freezing(make, shape):
    xs = batches(shape, 3)
    made = make(dtype=torch.float64, freeze_after=2)
    for x in xs[:2]:
        made(x)
    kept = made.running_deconv.clone()
    y = made(xs[2])
    assert torch.equal(made.running_deconv, kept)
    assert made.num_batches_tracked == 2
    assert torch.equal(y, made.eval()(xs[2]))


@every_layer
def test_without_averages_evaluation_uses_its_batch(make, shape):
    (x,) = batches(shape, 1)
    made = make(dtype=torch.float64, track_running_stats=False)
    assert not [name for name in made.state_dict() if name not in ("weight", "bias")]
    assert torch.equal(made(x), made.eval()(x))
    with pytest.raises(RuntimeError, match="there are no running averages; track_running_stats is off"):
        made.averages()


def test_reset_averages_leave_the_weight():
    made = ChannelDeconv2d(4, affine=True)
    with torch.no_grad():
        made.weight.fill_(3.0)
    made(batches((5, 4, 7, 6), 1, torch.float32)[0])
    made.reset_running_stats()
    assert (made.weight == 3).all()
    assert made.num_batches_tracked == 0
    assert torch.equal(made.running_deconv, torch.eye(4))


def test_without_averages_there_is_nothing_to_reset():
    Deconv2d(4, 3, 3, track_running_stats=False).reset_running_stats()


def test_training_by_one_batch_of_everything_is_algorithm_1():
    """D = (X^T X / N + eps I)^(-1/2) of the centered patches X, written out."""
    x = batches((6, 2, 5, 5), 1)[0]
    made = Deconv2d(2, 18, 3, sampling_stride=1, eps=1e-3, method="spectral", bias=False, dtype=torch.float64)
    with torch.no_grad():
        made.weight.copy_(torch.eye(18, dtype=torch.float64).view(18, 2, 3, 3))
    X = functional.unfold(x, 3).mT.reshape(-1, 18)
    X = X - X.mean(0)
    values, vectors = torch.linalg.eigh(X.T @ X / len(X) + 1e-3 * torch.eye(18, dtype=torch.float64))
    wanted = X @ vectors @ torch.diag(values**-0.5) @ vectors.T
    torch.testing.assert_close(made(x).flatten(2).mT.reshape(-1, 18), wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
@pytest.mark.parametrize("method", ["newton_schulz", "spectral", "denman_beavers", "minimax_cubic"])
def test_before_any_training_evaluation_does_not_whiten(method, running):
    torch.manual_seed(0)
    made = Deconv2d(16, 4, 3, method=method, running=running, dtype=torch.float64).eval()
    x = torch.randn(2, 16, 6, 6, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(x, made.weight, made.bias)
    torch.testing.assert_close(made(x), expected, rtol=1e-12, atol=1e-12)


@every_layer
def test_models_are_averaged_with_their_buffers(make, shape):
    layer = make()
    average = AveragedModel(layer, use_buffers=True)
    for x in batches(shape, 3, torch.float32):
        layer(x)
        average.update_parameters(layer)
    assert average.module.running_mean.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.complex64])
def test_autocast_does_not_average_what_it_cannot_cast(dtype):
    layer = Deconv2d(3, 4, 3)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(TypeError, match=f"got {dtype}; convert one"):
        layer(torch.ones(2, 3, 9, 9).to(dtype))
    assert layer.num_batches_tracked == 0
