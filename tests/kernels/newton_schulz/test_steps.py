import pytest
import torch

from ndbench import inverse_sqrt
from ndbench.kernels.newton_schulz import tiled
from ndbench.kernels.newton_schulz.schedule import steps_schedule
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
    true_root,
)

every_class = pytest.mark.parametrize("n", CLASSES)


@pytest.mark.parametrize("n", ORDERS)
def test_every_order(n, device):
    A = matrices(n, device)
    (D,) = kernels().run(A)
    assert distance(D, true_root(A)) <= ALLOWED
    assert distance(D.mT, true_root(A)) <= ALLOWED


@every_class
@pytest.mark.parametrize("iteration", ITERATIONS.values(), ids=ITERATIONS)
def test_every_iteration(n, iteration, device):
    A = matrices(n, device, count=1)
    assert distance(kernels(iteration).run(A)[0], true_root(A, iteration)) <= ALLOWED


@pytest.mark.parametrize("n", [1, 33])
@pytest.mark.parametrize("iteration", ITERATIONS.values(), ids=ITERATIONS)
def test_tiles_serve_small_orders_too(n, iteration, device):
    A = matrices(n, device, count=1)
    assert distance(tiled.run(A, steps_schedule(iteration.coefficients), "ieee"), true_root(A, iteration)) <= ALLOWED


@pytest.mark.parametrize("n", [70, 130])
def test_tiles_of_64(n, device, monkeypatch):
    monkeypatch.setattr(tiled, "SMALL_TILES", 0)
    A = matrices(n, device, count=1)
    assert distance(tiled.run(A, steps_schedule(THREE.coefficients), "ieee"), true_root(A)) <= ALLOWED


@every_class
@pytest.mark.parametrize("exponent", [2, -40, 40])
def test_scaling_is_exact(n, exponent, device):
    A = matrices(n, device, count=1)
    (D,) = kernels().run(A)
    assert torch.equal(kernels().run(A * 4.0**exponent)[0], D * 2.0**-exponent)


@every_class
def test_the_norm_neither_overflows_nor_underflows(n, device):
    A = matrices(n, device, count=1)
    for exponent in (-62, 58):
        scaled = A * 4.0**exponent
        assert distance(kernels().run(scaled)[0] * 2.0**exponent, true_root(A)) <= ALLOWED


@every_class
def test_a_matrix_gets_the_same_bits_in_every_batch(n, device):
    A = matrices(n, device, count=2 if n > 100 else 3)
    (D,) = kernels().run(A)
    for i in range(len(A)):
        assert torch.equal(kernels().run(A[i : i + 1])[0], D[i : i + 1])


def test_parts_of_a_batch_agree_with_the_whole(device, monkeypatch):
    A = matrices(33, device, count=3)
    schedule = steps_schedule(THREE.coefficients)
    whole = tiled.run(A, schedule, "ieee")
    monkeypatch.setattr(tiled, "SCRATCH_BYTES", 1)
    assert torch.equal(tiled.run(A, schedule, "ieee"), whole)


@every_class
def test_two_runs_agree_bit_for_bit(n, device):
    A = matrices(n, device)
    (first,) = kernels().run(A)
    kept = first.clone()
    kernels().run(A.flip(0) * 3)
    assert torch.equal(kernels().run(A)[0], kept)
    assert torch.equal(first, kept)


@every_class
def test_strides(n, device):
    A = matrices(n, device, count=1 if n > 100 else 2)
    (D,) = kernels().run(A)
    larger = torch.full((1 + len(A), 3 * n + 1, 2 * n + 1), torch.nan, device=device)
    larger[1:, 1::3, 1::2] = A
    for view in (A.mT.contiguous().mT, larger[1:, 1::3, 1::2], A.permute(2, 1, 0).contiguous().permute(2, 1, 0)):
        assert torch.equal(kernels().run(view)[0], D)
    assert torch.equal(kernels().run(A[:1].expand(3, n, n))[0], D[:1].expand(3, n, n))


@every_class
def test_leading_dimensions(n, device):
    A = matrices(n, device)
    (D,) = kernels().run(A)
    assert torch.equal(kernels().run(A[0])[0], D[0])
    assert torch.equal(kernels().run(A[:, None, None])[0], D[:, None, None])
    nested = A.expand(2, 2, n, n).transpose(0, 1)
    assert torch.equal(kernels().run(nested)[0], D.expand(2, 2, n, n).transpose(0, 1))


@every_class
def test_float16(n, device):
    A = matrices(n, device, dtype=torch.float16)
    (D,) = kernels().run(A)
    assert D.dtype == torch.float16
    assert distance(D, true_root(A)) <= 16 * 2**-11


@every_class
def test_an_asymmetry_of_rounding_is_averaged(n, device):
    A = matrices(n, device, count=1)
    skewed = A + torch.randn(A.shape, generator=torch.Generator().manual_seed(0)).to(A) * 2**-24
    (D,) = kernels().run(skewed)
    assert distance(D, true_root((skewed + skewed.mT) / 2)) <= ALLOWED


@pytest.mark.parametrize("n", [9, 40, 130])
def test_offsets_beyond_2_31(n, device):
    A = matrices(n, device, dtype=torch.float16)
    far = 2**31 // (n - 1) + 1
    for strides, count in (((2**31 + 8, n, 1), 2), ((n * n, far, 1), 1), ((n * n, 1, far), 1)):
        view = far_apart(A[:count], strides)
        assert torch.equal(kernels().run(view)[0], kernels().run(A[:count])[0])


def test_more_matrices_than_programs(device):
    if device == "cuda":
        pytest.skip("on a GPU this takes as many matrices as programs fit: verified at batch 1024")
    A = matrices(34, device, count=5)
    assert distance(kernels().run(A)[0], true_root(A)) <= ALLOWED


def test_refusals(device):
    A = matrices(5, device)
    with pytest.raises(TypeError, match="float64"):
        inverse_sqrt(A.double(), backend="triton")
    with pytest.raises(ValueError, match="precision must be one of"):
        kernels(precision="fast").run(A)
    with pytest.raises(ValueError, match="use precision='ieee'"):
        kernels(precision="tf32").run(A.half())
    with pytest.raises(ValueError, match="on a GPU"):
        kernels().run(A.to("meta"))
    with pytest.raises(TypeError, match="float64"):
        kernels().pull_back(A.double(), (), A.double())


def test_a_matrix_at_fault_leaves_the_others_alone(device):
    A = matrices(40, device, count=3)
    spoiled = A.clone()
    spoiled[1, 0, 3] = torch.nan
    D = inverse_sqrt(spoiled, steps=3, backend="triton", check=False)
    assert D[1].isnan().all()
    assert torch.equal(D[::2], inverse_sqrt(A, steps=3, backend="triton")[::2])
