import pytest
import torch

from ndbench.bench.networks import NetworkStep
from ndbench.bench.workloads import passes
from ndbench.cost.counting import count

SMALL = NetworkStep(images=4, size=8, classes=3).workload()


@pytest.mark.parametrize("way", ["batch normalization", "channel deconvolution", "full deconvolution"])
def test_the_gradients_of_a_step_are_those_in_float64(way):
    x = SMALL.input("cpu").double()
    contender = SMALL.contenders("cpu")[way]
    parameters = tuple(p.detach().double().requires_grad_() for p in contender.parameters)
    (exact,) = contender.truth(x.requires_grad_(), *parameters)
    truth = torch.autograd.grad(exact, (x, *parameters))
    leaf = x.detach().float().requires_grad_()
    found = torch.autograd.grad(contender.function(leaf), (leaf, *contender.parameters))
    scale = max(t.abs().max() for t in truth)
    for one, true in zip(found, truth, strict=True):
        torch.testing.assert_close(one.double(), true, rtol=0, atol=float(1e-5 * scale))


def test_a_step_again_finds_the_same_though_averages_move():
    x = SMALL.input("cpu")
    both = dict(passes(SMALL.contenders("cpu")["full deconvolution"], x))["forward+backward"]
    for first, second in zip(both(), both(), strict=True):
        assert torch.equal(first, second)


def test_flops_are_those_of_the_convolutions():
    counted = count(lambda: SMALL.contenders("cpu")["batch normalization"].function(SMALL.input("cpu")))
    assert counted.by_operator["aten.convolution"] == SMALL.flops == 2 * 9 * 4 * (64 * 16 + 16 * 512 + 4 * 1024)


def test_weights_are_drawn_without_touching_the_generator():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    SMALL.contenders("cpu")
    assert torch.equal(torch.rand(3), expected)
