"""Captures in CUDA graphs: what is replayed, what stays where a graph reads it, and the errors for what cannot be.

On a GPU graphs are captured and replayed. What belongs to Python, tables and errors, is tested wherever kernels run.
"""

import importlib
import inspect
import pkgutil

import pytest
import torch

from ndbench import inverse_sqrt, inverse_sqrt_to_tolerance, kernels
from ndbench.covariance import Patches
from ndbench.kernels import runtime
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.covariance.derivatives import by_kernels
from ndbench.kernels.denman_beavers import ProductFormKernels
from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.kernels.tables import KEPT, kept_on_device
from ndbench.roots.adjoints import Coupled, ProductForm
from ndbench.roots.coefficients import LIMITS

CPU = torch.device("cpu")
PATCHES = Patches.of(3, padding=1, block=4)
CUBIC, QUINTIC = Coupled((LIMITS[3],) * 5), Coupled((LIMITS[5],) * 3)
PRODUCT_FORM = ProductForm(steps=9, scaled_steps=4)
ORDERS = (16, 33, 64, 100, 144)
"""One for each kernel of polynomial steps."""

on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="graphs are captured on a GPU")


def images(device, seed=0):
    return torch.randn(4, 8, 12, 11, generator=torch.Generator().manual_seed(seed)).to(device)


def matrices(n, device, seed=0):
    X = torch.randn(3, n, 2 * n, generator=torch.Generator().manual_seed(seed))
    return (X @ X.mT / n + torch.eye(n)).to(device)


def covariance(algorithm):
    def both(x):
        mean, cov = by_kernels(x, PATCHES, algorithm, "ieee")
        return mean, cov, adjoint(x, mean, mean, cov, PATCHES, precision="ieee")

    return both


def polynomial(iteration, precision="ieee"):
    steps = CoupledKernels(iteration, precision)
    return lambda A: (*steps.run(A), steps.pull_back(A, (), A))


def product_form(A):
    steps = ProductFormKernels(PRODUCT_FORM, "ieee", keep=True)
    D, *kept = steps.run(A)
    return D, steps.pull_back(A, tuple(kept), A)


@pytest.fixture
def capturing(monkeypatch):
    """Everything is asked as in a capture once this is called."""
    return lambda: monkeypatch.setattr(runtime, "capturing", lambda device: True)


@pytest.mark.parametrize("algorithm", ["im2col", "lagged"])
def test_a_covariance_that_was_not_called_before_is_refused(device, algorithm, capturing):
    x = images(device)[:, :, 1:]
    capturing()
    with pytest.raises(RuntimeError, match=r"a CUDA graph is being captured, .* call the function once before"):
        by_kernels(x, PATCHES, algorithm, "ieee")


@pytest.mark.parametrize("n", [7, 40, 130])
def test_steps_that_were_not_called_before_are_refused(device, n, capturing):
    coefficients = tuple((a + n * 1e-6, b, c) for a, b, c in CUBIC.coefficients)
    capturing()
    with pytest.raises(RuntimeError, match=r"a CUDA graph is being captured, .* call the function once before"):
        CoupledKernels(Coupled(coefficients), "ieee").run(matrices(n, device))


@pytest.mark.parametrize("way", [covariance("im2col"), covariance("lagged")])
def test_what_was_called_before_is_not_refused(device, way, capturing):
    x = images(device)
    wanted = way(x)
    capturing()
    for found, one in zip(way(x), wanted, strict=True):
        assert torch.equal(found, one)


@pytest.mark.parametrize("n", [7, 40, 130])
def test_steps_that_were_called_before_are_not_refused(device, n, capturing):
    A, way = matrices(n, device), polynomial(Coupled(CUBIC.coefficients[:2]))
    wanted = way(A)
    capturing()
    for found, one in zip(way(A), wanted, strict=True):
        assert torch.equal(found, one)


@kept_on_device
def table(size, device):
    return torch.full((size,), size, device=device)


@pytest.fixture
def few(request):
    table.cache_clear()
    table.captured.clear()
    yield
    table.cache_clear()
    table.captured.clear()


@pytest.mark.usefixtures("few")
def test_tables_that_no_graph_reads_are_given_up():
    first = table(1, CPU)
    assert table(1, CPU) is first
    for size in range(2, KEPT + 2):
        table(size, CPU)
    assert len(table.recent) == KEPT
    assert table(1, CPU) is not first


@pytest.mark.usefixtures("few")
def test_no_table_is_given_up_while_a_kernel_may_read_it(monkeypatch):
    kept = []
    monkeypatch.setattr(runtime, "wait_for", lambda device: kept.append(len(table.recent)))
    for size in range(KEPT + 2):
        table(size, CPU)
    assert kept == [KEPT + 1] * 2


@pytest.mark.usefixtures("few")
def test_tables_used_last_are_kept():
    first = table(1, CPU)
    for size in range(2, 3 * KEPT):
        table(size, CPU)
        assert table(1, CPU) is first


@pytest.mark.usefixtures("few")
def test_tables_that_a_graph_reads_are_never_given_up(monkeypatch):
    first = table(1, CPU)
    with monkeypatch.context() as context:
        context.setattr(runtime, "capturing", lambda device: True)
        assert table(1, CPU) is first
        with pytest.raises(RuntimeError, match="table: a CUDA graph is being captured"):
            table(2, CPU)
    for size in range(2, 2 * KEPT):
        table(size, CPU)
    table.cache_clear()
    assert table(1, CPU) is first


def members():
    for module in pkgutil.walk_packages(kernels.__path__, "ndbench.kernels."):
        for owner in (found := importlib.import_module(module.name), *filter(inspect.isclass, vars(found).values())):
            yield from (getattr(member, "__func__", member) for member in vars(owner).values())


def test_every_table_on_a_device_is_kept_so():
    """What lru_cache keeps for a device may be given up while a graph reads it."""
    cached = {member.__qualname__: member.__wrapped__ for member in members() if hasattr(member, "cache_info")}
    of_devices = {name for name, function in cached.items() if "device" in inspect.signature(function).parameters}
    # these are no tables
    assert of_devices == {"capable", "multiprocessors"}


def test_a_check_of_values_is_refused(monkeypatch):
    monkeypatch.setattr("ndbench.operations.roots.capturing", lambda device: True)
    with pytest.raises(RuntimeError, match=r"inverse_sqrt: check=True reads values .* pass check=False"):
        inverse_sqrt(torch.eye(3))
    assert inverse_sqrt(torch.eye(3), check=False).isfinite().all()
    with pytest.raises(RuntimeError, match="inverse_sqrt_to_tolerance: the number of steps depends on values"):
        inverse_sqrt_to_tolerance(torch.eye(3))


def test_a_cpu_captures_nothing():
    assert not runtime.capturing(CPU)


def replayed(function, x, other):
    """What a graph of the function of x gives for another x, after tables enough to give up all that may be."""
    function(x)
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        found = function(x)
    for channels in range(1, KEPT + 10):
        by_kernels(torch.ones(1, channels, 4, 5, device="cuda"), Patches.of(2), "im2col", "ieee")
        by_kernels(torch.ones(1, channels, 4, 5, device="cuda"), Patches.of(2), "lagged", "ieee")
        coefficients = tuple((a + channels * 1e-6, b, c) for a, b, c in CUBIC.coefficients[:2])
        for n in (8, 40, 130):
            CoupledKernels(Coupled(coefficients), "ieee").run(torch.eye(n, device="cuda")[None])
    x.copy_(other)
    graph.replay()
    torch.cuda.synchronize()
    return found


def require_replayed(function, x, other):
    wanted = function(other)
    for found, one in zip(replayed(function, x, other), wanted, strict=True):
        assert torch.equal(found, one)


@on_a_gpu
@pytest.mark.parametrize("algorithm", ["im2col", "lagged"])
def test_covariances_are_captured(algorithm):
    require_replayed(covariance(algorithm), images("cuda"), images("cuda", seed=1))


@on_a_gpu
@pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
@pytest.mark.parametrize("iteration", [CUBIC, QUINTIC], ids=["cubic", "quintic"])
@pytest.mark.parametrize("n", [*ORDERS, 600])
def test_polynomial_steps_are_captured(n, iteration, precision):
    require_replayed(polynomial(iteration, precision), matrices(n, "cuda"), matrices(n, "cuda", seed=1))


@on_a_gpu
@pytest.mark.parametrize("n", [16, 33, 64, 100])
def test_the_product_form_is_captured(n):
    """Beyond order 64 the Cholesky factors and the triangular solves of the vendor are captured with it."""
    require_replayed(product_form, matrices(n, "cuda"), matrices(n, "cuda", seed=1))


@on_a_gpu
@pytest.mark.parametrize("method", ["newton_schulz", "minimax_quintic", "denman_beavers"])
def test_the_public_function_is_captured(method):
    def root(A):
        return (inverse_sqrt(A, method=method, check=False, backend="triton"),)

    require_replayed(root, matrices(40, "cuda"), matrices(40, "cuda", seed=1))


@on_a_gpu
def test_tables_are_not_copied_in_a_capture():
    A = matrices(40, "cuda")
    coefficients = tuple((a + 0.01, b, c) for a, b, c in CUBIC.coefficients)
    with pytest.raises(RuntimeError, match="call the function once before"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        CoupledKernels(Coupled(coefficients), "ieee").run(A)


@on_a_gpu
def test_values_are_not_checked_in_a_capture():
    A = matrices(8, "cuda")
    with pytest.raises(RuntimeError, match="pass check=False"), torch.cuda.graph(torch.cuda.CUDAGraph()):
        inverse_sqrt(A, backend="triton")
