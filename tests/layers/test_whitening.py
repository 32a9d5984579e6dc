"""Running averages, what evaluation keeps, graphs and copies: what all layers share, shown on each."""

import copy
import io
import pickle

import pytest
import torch
from torch.autograd import forward_ad
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear
from tests.layers.makers import batches, compiles, every_layer


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
def test_evaluation_keeps_what_it_folded_until_something_changes(make, shape, monkeypatch):
    (x,) = batches(shape, 1)
    made = make(dtype=torch.float64)
    made(x)
    made.eval()
    calls, fold = [], made.fold
    monkeypatch.setattr(made, "fold", lambda *a: calls.append(1) or fold(*a))
    with torch.no_grad():
        first = made(x)
        assert torch.equal(made(x), first)
        assert len(calls) == 1
        for parameter in made.parameters():
            parameter.mul_(2)
        changed = made(x)
        made.running_mean.add_(1)
        made(x)
    assert len(calls) == (3 if list(made.parameters()) else 2)
    if list(made.parameters()):
        torch.testing.assert_close(changed, 2 * first)


def test_a_parameter_at_the_address_of_a_former_one_is_not_taken_for_it():
    made = DeconvLinear(64, 64).eval()
    x = torch.randn(3, 64)
    for _ in range(6):
        made.weight = None  # so that its memory is free
        made.weight = torch.nn.Parameter(torch.randn(64, 64), requires_grad=False)
        made.bias.requires_grad_(False)
        torch.testing.assert_close(made(x), functional.linear(x, made.weight, made.bias))


@every_layer
@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
def test_evaluation_in_autocast_rounds_nothing_that_it_keeps(make, shape, running):
    (x,) = batches(shape, 1, torch.float32)
    made = make(running=running)
    made(x)
    made.eval()
    other = copy.deepcopy(made)
    with torch.no_grad():
        with torch.autocast("cpu", torch.bfloat16):
            made(x)
        assert torch.equal(made(x), other(x))


@every_layer
def test_folding_a_batch_in_autocast_is_not_rounded(make, shape):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    wanted = made.fold_for(x)
    with torch.autocast("cpu", torch.bfloat16):
        found = made.fold_for(x)
    assert all(torch.equal(ours, theirs) for ours, theirs in zip(found, wanted, strict=True))


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # what torch.func.jvp loads
def test_evaluation_of_transformed_parameters():
    made = Deconv2d(4, 3, 3).requires_grad_(False)
    (x,) = batches((5, 4, 7, 6), 1, torch.float32)
    made(x)
    made.eval()
    weights = torch.randn(2, *made.weight.shape)

    def evaluated(weight):
        return torch.func.functional_call(made, {"weight": weight}, (x,))

    y = evaluated(made.weight)
    torch.testing.assert_close(torch.vmap(evaluated)(weights), torch.stack([evaluated(w) for w in weights]))
    # without the bias it is linear in the weight
    _, slope = torch.func.jvp(evaluated, (made.weight,), (made.weight,))
    torch.testing.assert_close(slope, y - made.bias.view(3, 1, 1), rtol=1e-4, atol=1e-4)
    with forward_ad.dual_level():
        dual = evaluated(forward_ad.make_dual(made.weight, made.weight.clone()))
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, slope)


@every_layer
def test_evaluation_has_gradients_of_parameters_and_input(make, shape):
    (x,) = batches(shape, 1)
    made = make(dtype=torch.float64)
    made(x)
    made.eval()
    with torch.no_grad():
        kept = made(x)
    with torch.inference_mode():
        assert torch.equal(made(x), kept)
    x.requires_grad_()
    y = made(x)
    assert torch.equal(y, kept)
    for gradient in torch.autograd.grad(y.square().sum(), [x, *made.parameters()]):
        assert gradient.abs().max() > 0


@every_layer
def test_state_dict_copy_and_pickle(make, shape):
    (x,) = batches(shape, 1)
    made = make(dtype=torch.float64)
    made(x)
    made.eval()
    y = made(x)
    other = make(dtype=torch.float64)
    other.load_state_dict(made.state_dict())
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    copies = (other.eval(), copy.deepcopy(made), pickle.loads(pickle.dumps(made)), torch.load(file, weights_only=False))
    for same in copies:
        assert torch.equal(same(x), y)
    for same in copies[1:]:
        with torch.no_grad():
            same.running_deconv.mul_(2)
        assert not torch.equal(same(x), y)
        assert torch.equal(made(x), y)


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


def test_meta_device():
    made = Deconv2d(4, 3, 3, device="meta").train()
    assert made.running_deconv.is_meta
    assert made.state_dict().keys() == Deconv2d(4, 3, 3).state_dict().keys()


@compiles
@every_layer
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_without_a_break(make, shape, backend):
    x = batches(shape, 1, torch.float32)[0].requires_grad_()
    torch.manual_seed(0)
    made = make()
    same = copy.deepcopy(made)
    torch.compiler.reset()
    compiled = torch.compile(same, backend=backend, fullgraph=True)
    g = torch.randn_like(made(x))
    made(x)
    wanted = torch.autograd.grad(made(x), [x, *made.parameters()], g)
    for _ in range(2):
        compiled(x)
    found = torch.autograd.grad(compiled(x), [x, *same.parameters()], g)
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(same.state_dict(), made.state_dict())
    torch.testing.assert_close(torch.compile(same.eval(), backend=backend, fullgraph=True)(x), made.eval()(x))


@compiles
@torch.no_grad()  # behind a break the compiler asks for gradients of what is no leaf, which warns
def test_freezing_when_compiled():
    xs = batches((5, 4, 7, 6), 4, torch.float32)
    torch.manual_seed(0)
    made = Deconv2d(4, 3, 3, freeze_after=2)
    same = copy.deepcopy(made)
    torch.compiler.reset()
    compiled = torch.compile(same, backend="eager")
    for x in xs:
        torch.testing.assert_close(compiled(x), made(x))
    assert same.num_batches_tracked == 2
    torch.testing.assert_close(same.state_dict(), made.state_dict())


@every_layer
def test_exported_for_evaluation(make, shape):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    made.eval()
    torch.testing.assert_close(torch.export.export(made, (x,)).module()(x), made(x))


@every_layer
def test_exported_for_batches_of_any_size(make, shape):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    made.eval()
    exported = torch.export.export(made, (x,), dynamic_shapes=({0: torch.export.Dim("batch")},)).module()
    torch.testing.assert_close(exported(x[:3]), made(x[:3]))


@every_layer
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_averages_stay_wide_when_a_layer_is_converted(make, shape, dtype):
    (x,) = batches(shape, 1, torch.float32)
    made = make()
    made(x)
    kept = {name: average.clone() for name, average in made.named_buffers()}
    made.to(dtype)
    assert all(parameter.dtype == dtype for parameter in made.parameters())
    for name, average in made.named_buffers():
        assert torch.equal(average, kept[name])
        assert average.dtype == kept[name].dtype
    assert make().double().to(dtype).running_mean.dtype == torch.float32
    assert made.double().running_mean.dtype == torch.float64


@every_layer
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_emptied_layers_are_not_faulty(make, shape, device):
    state = make().state_dict()
    for _ in range(10):
        ones = [torch.full((n,), True) for n in (1, 8, 64)]
        made = make(device=device)
        del ones  # whose memory the empty buffers get
        made.to_empty(device="cpu").load_state_dict(state)
        assert not made.faulty
        made.eval()


@every_layer
@pytest.mark.parametrize("running", ["deconvolution", "covariance"])
@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_reset_layers_are_as_new(make, shape, running, device):
    torch.manual_seed(0)
    new = make(running=running).state_dict()
    made = make(running=running, device=device)
    if device == "cpu":
        for x in batches(shape, 2, torch.float32):
            made(x)
    made.to_empty(device="cpu")
    torch.manual_seed(0)
    made.reset_parameters()
    assert not made.faulty
    for name, value in made.state_dict().items():
        assert torch.equal(value, new[name]), name


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


@every_layer
def test_a_state_dict_fills_a_layer_that_has_no_memory(make, shape):
    full, (x,) = make(), batches(shape, 1, torch.float32)
    full(x)
    with torch.device("meta"):
        empty = make()
    empty.load_state_dict(full.state_dict(), assign=True)
    assert not empty.faulty.is_meta
    torch.testing.assert_close(empty.to("cpu").eval()(x), full.eval()(x))


@every_layer
def test_averages_of_16_bits_are_widened_when_they_are_loaded(make, shape):
    narrow = {name: v.half() if v.is_floating_point() else v for name, v in make().state_dict().items()}
    layer = make()
    layer.load_state_dict(narrow, assign=True)
    assert layer.running_mean.dtype == getattr(layer, layer._second).dtype == torch.float32


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64, torch.complex64])
def test_autocast_does_not_average_what_it_cannot_cast(dtype):
    layer = Deconv2d(3, 4, 3)
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(TypeError, match=f"got {dtype}; convert one"):
        layer(torch.ones(2, 3, 9, 9).to(dtype))
    assert layer.num_batches_tracked == 0


def test_a_layer_that_reports_a_faulty_batch_has_changed_its_mode():
    layer = Deconv2d(3, 4, 3)
    layer.faulty.fill_(1)
    with pytest.raises(ValueError, match="a batch held NaN"):
        layer.eval()
    assert not layer.training
