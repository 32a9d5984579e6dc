import pytest
import torch

from ndbench import inverse_sqrt
from ndbench.kernels.newton_schulz import tiled
from ndbench.kernels.newton_schulz.schedule import tangent_schedule
from tests.kernels.newton_schulz.comparison import (
    ALLOWED,
    CLASSES,
    ITERATIONS,
    ORDERS,
    THREE,
    distance,
    far_apart,
    kernels,
    matrices,
    true_gradient,
    upstream,
)

every_class = pytest.mark.parametrize("n", CLASSES)


@pytest.mark.parametrize("n", ORDERS)
def test_every_order(n, device):
    A = matrices(n, device, count=1)
    G = upstream(A)
    found = kernels().pull_back(A, (), G)
    assert distance(found, true_gradient(A, G)) <= ALLOWED
    assert torch.equal(found, found.mT)


@every_class
@pytest.mark.parametrize("iteration", ITERATIONS.values(), ids=ITERATIONS)
def test_every_iteration(n, iteration, device):
    A = matrices(n, device, count=1)
    G = upstream(A)
    assert distance(kernels(iteration).pull_back(A, (), G), true_gradient(A, G, iteration)) <= 3 * ALLOWED


@pytest.mark.parametrize("block", [0, 576])
def test_tiles_of_both_sizes(block, device, monkeypatch):
    monkeypatch.setattr(tiled, "SMALL_TILES", block)
    A = matrices(70, device, count=1)
    G = upstream(A)
    found = tiled.pull_back(A, G, tangent_schedule(THREE.coefficients), "ieee")
    assert distance(found, true_gradient(A, G)) <= ALLOWED


@pytest.mark.parametrize("n", [5, 20, 40])
def test_products_of_split_operands(n, device):
    A = matrices(n, device, count=1)
    G = upstream(A)
    assert distance(kernels(precision="tf32x3").pull_back(A, (), G), true_gradient(A, G)) <= 4 * ALLOWED


@every_class
def test_a_matrix_gets_the_same_bits_in_every_batch(n, device):
    A = matrices(n, device, count=2 if n > 100 else 3)
    G = upstream(A)
    together = kernels().pull_back(A, (), G)
    for i in range(len(A)):
        assert torch.equal(kernels().pull_back(A[i : i + 1], (), G[i : i + 1]), together[i : i + 1])
    assert torch.equal(kernels().pull_back(A, (), G), together)


@every_class
def test_linear_in_g_at_every_size(n, device):
    A = matrices(n, device, count=1)
    G = upstream(A)
    found = kernels().pull_back(A, (), G)
    for exponent in (-80, 80):
        assert torch.equal(kernels().pull_back(A, (), G * 2.0**exponent), found * 2.0**exponent)
    assert not kernels().pull_back(A, (), torch.zeros_like(G)).any()


@every_class
def test_strides(n, device):
    A = matrices(n, device, count=1 if n > 100 else 2)
    G = upstream(A)
    found = kernels().pull_back(A, (), G)
    larger = torch.full((1 + len(A), 3 * n + 1, 2 * n + 1), torch.nan, device=device)
    larger[1:, 1::3, 1::2] = G
    for view in (G.mT.contiguous().mT, larger[1:, 1::3, 1::2]):
        assert torch.equal(kernels().pull_back(A, (), view), found)
    one = torch.ones((), device=device).expand(A.shape)
    assert torch.equal(kernels().pull_back(A, (), one), kernels().pull_back(A, (), one.contiguous()))
    assert torch.equal(kernels().pull_back(A[:, None], (), G[:, None]), found[:, None])


@every_class
def test_float16(n, device):
    A = matrices(n, device, dtype=torch.float16)
    G = upstream(A)
    found = kernels().pull_back(A, (), G * 256)
    assert found.dtype == torch.float16
    assert distance(found, 256 * true_gradient(A, G)) <= 32 * 2**-11


@pytest.mark.parametrize("n", [9, 40, 130])
def test_offsets_beyond_2_31(n, device):
    A = matrices(n, device, dtype=torch.float16, count=1)
    G = upstream(A)
    far = 2**31 // (n - 1) + 1
    for strides in ((n * n, far, 1), (n * n, 1, far)):
        assert torch.equal(kernels().pull_back(A, (), far_apart(G, strides)), kernels().pull_back(A, (), G))


@every_class
def test_autograd_finds_it(n, device):
    A = matrices(n, device)
    G = upstream(A)
    leaf = A.clone().requires_grad_()
    inverse_sqrt(leaf, steps=3, backend="triton").backward(G)
    assert torch.equal(leaf.grad, kernels().pull_back(A, (), G))


def test_second_derivatives_run_in_torch(device):
    A = matrices(5, device, count=1).requires_grad_()
    G = upstream(A)
    gradients = []
    for backend in ("triton", "torch"):
        D = inverse_sqrt(A, steps=3, backend=backend)
        (g,) = torch.autograd.grad(D, A, G, create_graph=True)
        gradients.append(torch.autograd.grad((g * g).sum(), A)[0])
    assert distance(gradients[0], gradients[1].double()) <= 10 * ALLOWED
