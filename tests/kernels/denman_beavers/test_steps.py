import pytest
import torch

from ndbench import inverse_sqrt
from ndbench.kernels.denman_beavers import sweep, sweep_adjoint, tiled, variants
from ndbench.kernels.variant import Variant
from ndbench.roots.adjoints import ProductForm
from tests.kernels.denman_beavers.comparison import (
    ALLOWED,
    CLASSES,
    ORDERS,
    THREE,
    distance,
    kernels,
    matrices,
    true_gradient,
    true_root,
    upstream,
)

every_class = pytest.mark.parametrize("n", CLASSES)


@pytest.mark.parametrize("n", ORDERS)
def test_every_order(n, device):
    A = matrices(n, device, count=1)
    G = upstream(A)
    assert distance(kernels().run(A)[0], true_root(A)) <= ALLOWED
    found = kernels().pull_back(A, (), G)
    assert distance(found, true_gradient(A, G)) <= ALLOWED
    assert torch.equal(found, found.mT)


@every_class
@pytest.mark.parametrize("scaled_steps", [0, 1, 4])
@pytest.mark.parametrize("steps", [1, 4])
def test_steps_and_scaled_steps(n, steps, scaled_steps, device):
    iteration = ProductForm(steps, min(steps, scaled_steps))
    A = matrices(n, device, count=1)
    G = upstream(A)
    assert distance(kernels(iteration).run(A)[0], true_root(A, iteration)) <= ALLOWED
    assert distance(kernels(iteration).pull_back(A, (), G), true_gradient(A, G, iteration)) <= ALLOWED


@pytest.mark.parametrize("n", [2, 20, 40, 70])
def test_the_inverse_loses_far_less_than_the_condition_number(n, device):
    # float32 factors are off by 1e-3 here
    A, iteration = matrices(n, device, count=1, condition=1e6), ProductForm(9, 4)
    assert distance(kernels(iteration).run(A)[0], true_root(A, iteration)) <= ALLOWED


@pytest.mark.parametrize("n", [5, 40, 70])
def test_matrices_far_from_unit_size(n, device):
    A = matrices(n, device, count=1)
    for size in (1e-20, 1e20):
        assert distance(kernels().run(A * size)[0], true_root(A * size)) <= ALLOWED


@every_class
def test_strides(n, device):
    A = matrices(n, device)
    G = upstream(A)
    D, g = kernels().run(A)[0], kernels().pull_back(A, (), G)
    larger = torch.full((2, 3, 3 * n + 1, 2 * n + 1), torch.nan, device=device)
    larger[0, 1:, 1::3, 1::2], larger[1, 1:, 1::3, 1::2] = A, G
    odd_A, odd_G = larger[:, 1:, 1::3, 1::2]
    assert torch.equal(kernels().run(odd_A)[0], D)
    assert torch.equal(kernels().pull_back(odd_A, (), odd_G), g)
    assert torch.equal(kernels().pull_back(A, (), G.mT.contiguous().mT), g)
    one = torch.ones((), device=device).expand(A.shape)
    assert torch.equal(kernels().pull_back(A, (), one), kernels().pull_back(A, (), one.contiguous()))
    assert torch.equal(kernels().run(A[:, None])[0], D[:, None])


@every_class
def test_bitwise_repeatable(n, device):
    A = matrices(n, device)
    G = upstream(A)
    assert torch.equal(kernels().run(A)[0], kernels().run(A)[0])
    assert torch.equal(kernels().pull_back(A, (), G), kernels().pull_back(A, (), G))


@every_class
def test_what_is_kept_changes_neither_the_answer_nor_the_gradient(n, device):
    A = matrices(n, device)
    G = upstream(A)
    leaf = A.clone().requires_grad_()
    D = inverse_sqrt(leaf, method="denman_beavers", steps=3, scaled_steps=1, backend="triton")
    D.backward(G)
    assert len(kernels().run(A)) == 1
    assert torch.equal(D.detach(), kernels().run(A)[0])
    assert torch.equal(leaf.grad, kernels().pull_back(A, (), G))


@every_class
def test_a_matrix_that_is_lost_leaves_the_others_alone(n, device):
    A = matrices(n, device, count=3)
    A[1] = -A[1]
    G = upstream(A)
    D, g = kernels().run(A)[0], kernels().pull_back(A, (), G)
    assert D[1].isnan().all()
    assert g[1].isnan().all()
    for i in (0, 2):
        assert distance(D[i], true_root(A[i : i + 1])[0]) <= ALLOWED
        assert distance(g[i], true_gradient(A[i : i + 1], G[i : i + 1])[0]) <= ALLOWED


@every_class
def test_unscaled_steps_lose_a_matrix_too(n, device):
    assert kernels(ProductForm(2, 0)).run(-matrices(n, device, count=1))[0].isnan().all()


@pytest.mark.parametrize("block", [32, 64])
@pytest.mark.parametrize("n", [40, 70, 130])
def test_tiles_of_both_sizes(n, block, device, monkeypatch):
    monkeypatch.setattr("ndbench.kernels.denman_beavers.tiles.TILES_TO_FILL_A_DEVICE", 1 if block == 64 else 10**9)
    A = matrices(n, device)
    G = upstream(A)
    D, iterates, scales = tiled.run(A, 3, 1, keep=True, precision="ieee")
    assert distance(D, true_root(A)) <= ALLOWED
    assert torch.equal(D, D.mT)
    assert distance(tiled.pull_back(G, iterates, scales, 1, "ieee"), true_gradient(A, G)) <= ALLOWED


@every_class
def test_half_types_are_computed_in_float32_and_rounded_once(n, device):
    A = matrices(n, device, count=1).half()
    found = inverse_sqrt(A, method="denman_beavers", steps=3, scaled_steps=1, backend="triton", check=False)
    assert torch.equal(found, kernels().run(A.float())[0].half())


def test_float64_is_refused(device):
    A = torch.eye(3, dtype=torch.float64, device=device)
    message = "inverse_sqrt: Triton kernels take float32, float16 or bfloat16; got torch.float64; convert it"
    with pytest.raises(TypeError, match=message):
        inverse_sqrt(A, method="denman_beavers", backend="triton")


def test_unknown_precision_is_refused(device):
    with pytest.raises(ValueError, match="precision must be one of ieee, tf32x3, tf32; got 'fp8'"):
        inverse_sqrt(torch.eye(3, device=device), method="denman_beavers", backend="triton", precision="fp8")


@pytest.mark.parametrize("n", [9, 40])
def test_offsets_beyond_2_31(n, device, monkeypatch):
    # pages nobody touches are not there
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)
    A, far = matrices(n, device), 2**31 + 7
    storage = torch.empty(far + n * n, device=device)
    for strides in ((far, n, 1), (n, far // (n - 1), 1)):
        view = storage.as_strided(A.shape, strides)
        view.copy_(A)
        assert torch.equal(kernels().run(view)[0], kernels().run(A)[0])
    if n <= sweep_adjoint.LARGEST_ORDER:
        assert torch.equal(kernels().pull_back(A, (), view), kernels().pull_back(A, (), A))


def test_no_matrix(device):
    A = torch.empty((0, 3, 3), device=device)
    assert inverse_sqrt(A, method="denman_beavers", backend="triton").shape == A.shape


@pytest.mark.parametrize("n", [1, 16, 17, 32, 33, 64, 65, 147])
def test_every_launch_is_a_variant(n, device, monkeypatch):
    listed = {(v.kernel.fn.__name__, _key(v)) for v in variants()}
    launched = []
    for module in (sweep, sweep_adjoint, tiled.inverse_product, tiled.tile_product):
        name = "configuration"
        chosen = getattr(module, name)
        kernel = next(module.variants()).kernel.fn.__name__
        monkeypatch.setattr(
            module, name, lambda *a, f=chosen, k=kernel, **b: launched.append((k, f(*a, **b))) or f(*a, **b)
        )
    A = matrices(n, device, count=1)
    kernels(THREE).pull_back(A, (), upstream(A))
    assert launched
    assert {(kernel, repr(configuration)) for kernel, configuration in launched} <= listed


def _key(variant: Variant) -> str:
    return repr(variant.configuration)


def test_names_of_variants_are_unique():
    names = [v.name for v in variants()]
    assert len(names) == len(set(names))
