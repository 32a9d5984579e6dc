"""Covariances and their gradients by kernels, against enumeration and against the budgets of the suite."""

from dataclasses import replace
from functools import partial
from itertools import product

import numpy as np
import pytest
import torch

from ndbench.catalog import COVARIANCE
from ndbench.covariance import Patches, im2col
from ndbench.covariance.im2col import im2col_adjoint
from ndbench.covariance_problems import CovarianceProblem
from ndbench.kernels import covariance as kernels
from ndbench.kernels.covariance import adjoint as adjoint_module
from ndbench.kernels.covariance import derivatives
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.covariance.derivatives import by_kernels
from ndbench.kernels.precision import products_of_shifted
from ndbench.kernels.runtime import interpreted
from ndbench.operations import patch_covariance
from ndbench.operations.covariance import Way, adjoint_of, moments
from ndbench.verify.gradients.problems import CovarianceGradientProblem
from ndbench.verify.suite import CHECKS
from tests.covariance.enumeration import CASES, expected

IMPLEMENTATION = {i.name: i for i in COVARIANCE}
CHECK = {check.name: check for check in CHECKS if check.operation == "covariance"}
U = 2.0**-24

# torch builds its forward mode with torch.jit when it is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
each_algorithm = pytest.mark.parametrize("algorithm", sorted(kernels.ALGORITHMS))
# the interpreter takes milliseconds a program: of the pieces of 7 x 7 kernels there are hundreds
QUICK = [c for c in CASES if max(c.patches.kernel_size) < 7]


def framed(x):
    N, C, H, W = x.shape
    view = torch.full((N, C, H + 3, 3 * W + 2), torch.nan, dtype=x.dtype, device=x.device)[:, :, 2:-1, 1:-1:3]
    view.copy_(x)
    return view


LAYOUTS = {
    "channels last": lambda x: x.contiguous(memory_format=torch.channels_last),
    "columns first": lambda x: x.mT.contiguous().mT,
    "images last": lambda x: x.permute(1, 2, 3, 0).contiguous().permute(3, 0, 1, 2),
    "every third pixel of a frame": framed,
}


def upstream(mean, cov, seed=1):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(part.shape, generator=generator).to(mean.device) for part in (mean, cov)]


def assert_close(found, true, scale):
    assert found.isfinite().all()
    assert (found.cpu().double() - true).abs().max() <= 64 * U * scale


@each_algorithm
@pytest.mark.parametrize("case", QUICK, ids=str)
def test_agrees_with_enumeration(device, algorithm, case):
    if algorithm == "lagged" and interpreted() and max(case.patches.kernel_size) > 4:
        pytest.skip("hundreds of programs")
    x = case.input(torch.float32)
    true_mean, true_cov = expected(case, torch.float32)
    mean, cov = by_kernels(x.to(device), case.patches, algorithm, "ieee")
    assert mean.dtype == cov.dtype == torch.float32
    # pixels deviate from their means by less than 6, and by their value where there is padding
    centered = 6 + (abs(case.offset) if any(case.patches.padding) else 0)
    assert_close(mean, true_mean, true_mean.abs().max() + 1)
    assert_close(cov, true_cov, centered**2)
    assert torch.equal(cov, cov.mT)


@pytest.mark.parametrize("numbers", [2**20, 0], ids=["at once", "each region and class alone"])
@pytest.mark.parametrize("case", QUICK, ids=str)
def test_gradient_agrees_with_the_definition(monkeypatch, device, numbers, case):
    if interpreted() and max(case.patches.kernel_size) > (4 if numbers else 3):
        pytest.skip("thousands of taps")
    monkeypatch.setattr(adjoint_module, "numbers", lambda *_: numbers)
    x = case.input(torch.float32)
    mean, cov = im2col(x.double(), case.patches)
    given = upstream(mean, cov)
    true = im2col_adjoint(x.double(), mean, *(g.double() for g in given), case.patches)
    found = adjoint(
        x.to(device), mean.float().to(device), *(g.to(device) for g in given), case.patches, precision="ieee"
    )
    size = (8 + abs(case.offset)) * (1 + cov.shape[-1] ** 0.5)
    assert_close(found, true, size * case.patches.offsets / min(1, true.abs().max()))
    assert found.stride() == x.stride()


@pytest.mark.parametrize("name", ["lagged.triton.ieee", "im2col.triton.ieee"])
@pytest.mark.parametrize(
    "problem",
    [
        CovarianceProblem(N=2, C=2, H=9, W=10, kernel_size=5, padding=2, stride=1),
        CovarianceProblem(N=1, C=1, H=13, W=12, kernel_size=7, padding=3),
        # thousands of rows, many of them equal
        CovarianceProblem(4, 2, 40, 40, 2, data="relu:coffee"),
        CovarianceProblem(4, 2, 40, 40, 1, data="photograph:camera"),
    ],
    ids=lambda p: p.name,
)
def test_the_suite_passes_what_takes_its_interpreter_too_long(device, name, problem):
    implementation = IMPLEMENTATION[name]
    for check in ("mean", "covariance", "exact-symmetry", "semidefinite"):
        verdict = CHECK[check](on(implementation, device), problem)
        assert verdict.passed, verdict


@pytest.mark.parametrize("k", [5, (3, 5)])
def test_the_suite_passes_gradients_of_large_kernels(device, k):
    problem = CovarianceGradientProblem(CovarianceProblem(1, 2, 9, 8, k, padding=1), symmetric=False)
    verdict = CHECK["gradient-enumeration"](on(IMPLEMENTATION["im2col.triton.ieee"], device), problem)
    assert verdict.passed, verdict


def on(implementation, device):
    return replace(implementation, devices=("interpreter" if device == "cpu" else device,))


@each_algorithm
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts(device, algorithm, layout):
    patches = Patches.of((2, 3), padding=1, stride=(1, 2), block=2)
    x = torch.randn(3, 4, 5, 6, generator=torch.Generator().manual_seed(0)).to(device)
    other = LAYOUTS[layout](x)
    assert torch.equal(other, x)
    mean, cov = by_kernels(x, patches, algorithm, "ieee")
    for found, wanted in zip(by_kernels(other, patches, algorithm, "ieee"), (mean, cov), strict=True):
        torch.testing.assert_close(found, wanted, rtol=0, atol=8 * U * 9)
    given = [g.to(device) for g in upstream(mean, cov)]
    found, wanted = (adjoint(y, mean, *given, patches, precision="ieee") for y in (other, x))
    torch.testing.assert_close(found, wanted, rtol=0, atol=8 * U * 9)


@each_algorithm
def test_expanded_inputs(device, algorithm):
    x = torch.randn(1, 2, 5, 6, generator=torch.Generator().manual_seed(0)).to(device)
    patches = Patches.of(2)
    for found, wanted in zip(
        by_kernels(x.expand(3, 2, 5, 6), patches, algorithm, "ieee"),
        by_kernels(x, patches, algorithm, "ieee"),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted, rtol=0, atol=8 * U * 9)


@each_algorithm
def test_half_types(device, algorithm):
    x = (3 + torch.randn(2, 4, 5, 6, generator=torch.Generator().manual_seed(0))).half()
    options = {"padding": 1, "block": 2, "algorithm": algorithm}
    true_mean, true_cov = patch_covariance(x.double(), 2, **options)
    leaf = x.to(device, copy=True).requires_grad_()
    mean, cov = patch_covariance(leaf, 2, **options, backend="triton")
    assert mean.dtype == cov.dtype == torch.float16
    # one rounding of the answer
    torch.testing.assert_close(mean.cpu().double(), true_mean, rtol=2.0**-11, atol=1e-6)
    torch.testing.assert_close(cov.cpu().double(), true_cov, rtol=2.0**-11, atol=1e-5)
    (mean.sum() + cov.sum()).backward()
    exact = x.double().requires_grad_()
    sum(part.sum() for part in patch_covariance(exact, 2, **options)).backward()
    assert leaf.grad.dtype == torch.float16
    torch.testing.assert_close(leaf.grad.cpu().double(), exact.grad, rtol=2.0**-9, atol=2e-3)


@each_algorithm
def test_bits_repeat(device, algorithm):
    x = torch.randn(2, 4, 9, 8, generator=torch.Generator().manual_seed(0)).to(device)
    patches = Patches.of(3, padding=1, block=2)
    runs = []
    for _ in range(2):
        leaf = x.clone().requires_grad_()
        mean, cov = by_kernels(leaf, patches, algorithm, "ieee")
        ((mean**2).sum() + (cov**2).sum()).backward()
        runs.append((mean, cov, leaf.grad))
    for first, second in zip(*runs, strict=True):
        assert torch.equal(first, second)


def far_apart(device):
    """Two images of which the second begins beyond 2^31 elements, and its rows lie 2^27 apart."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn((2, 2, 3, 4), generator=generator).half()
    strides = (2**31 + 64, 2**29, 2**27, 1)
    room = 1 + sum((n - 1) * s for n, s in zip(values.shape, strides, strict=True))
    if device == "cpu":
        # numpy asks for zeros that take memory only where they are written
        storage = torch.from_numpy(np.zeros(room, dtype=np.float16))
    else:
        storage = torch.zeros(room, dtype=torch.float16, device=device)
    x = storage.as_strided(values.shape, strides)
    x.copy_(values)
    return x, values.to(device)


@each_algorithm
def test_offsets_beyond_32_bits(device, algorithm):
    x, values = far_apart(device)
    patches = Patches.of(2, padding=1)
    for found, wanted in zip(
        by_kernels(x, patches, algorithm, "ieee"), by_kernels(values, patches, algorithm, "ieee"), strict=True
    ):
        torch.testing.assert_close(found, wanted, rtol=0, atol=8 * U * 9)


def test_gradient_of_offsets_beyond_32_bits(device):
    x, values = far_apart(device)
    patches = Patches.of(2, padding=1)
    mean, cov = by_kernels(values, patches, "im2col", "ieee")
    given = [g.to(device) for g in upstream(mean, cov)]
    found, wanted = (adjoint(y, mean, *given, patches, precision="ieee") for y in (x, values))
    torch.testing.assert_close(found, wanted, rtol=2.0**-9, atol=1e-3)


@each_algorithm
def test_pixels_that_nothing_reads_have_no_gradient(device, algorithm):
    x = torch.randn(2, 2, 7, 8, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    mean, cov = patch_covariance(x, 2, stride=3, algorithm=algorithm, backend="triton")
    (mean.sum() + cov.sum()).backward()
    assert (x.grad[:, :, 2::3] == 0).all()
    assert (x.grad[:, :, :5:3, ::3] != 0).all()


def forward_slope(f, dx):
    return lambda x: torch.func.jvp(f, (x,), (dx,))[1]


def reverse_slope(f, dx):
    return lambda x: (torch.func.grad(f)(x) * dx).sum()


@pytest.mark.parametrize("modes", [modes for order in (1, 2, 3) for modes in product("fr", repeat=order)], ids="".join)
@each_algorithm
def test_derivatives_of_every_order_and_mode_are_those_of_the_definition(device, algorithm, modes):
    x = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(0)).to(device)
    dx = torch.randn(1, 2, 3, 3, generator=torch.Generator().manual_seed(1)).to(device)

    def f(x, **how):
        mean, cov = patch_covariance(x, 2, padding=1, **how)
        return (mean**3).sum() + (cov**2).sum()

    found = partial(f, algorithm=algorithm, backend="triton")
    wanted = partial(f, algorithm="im2col", adjoint="autograd")
    for mode in modes:
        found = (forward_slope if mode == "f" else reverse_slope)(found, dx)
        wanted = reverse_slope(wanted, dx)
    torch.testing.assert_close(found(x), wanted(x), rtol=1e-5, atol=1e-5)


@each_algorithm
def test_maps_over_a_batch_are_refused(device, algorithm):
    x = torch.randn(2, 1, 2, 4, 3).to(device)
    f = partial(patch_covariance, kernel_size=2, algorithm=algorithm, backend="triton")
    with pytest.raises(RuntimeError, match="patch_covariance: Triton kernels do not map over a batch"):
        torch.func.vmap(f)(x)


@pytest.mark.parametrize(
    ("x", "options", "error", "message"),
    [
        (
            torch.zeros(1, 1, 3, 3, dtype=torch.float64),
            {},
            TypeError,
            "Triton kernels take float32, float16 or bfloat16",
        ),
        (torch.zeros(1, 1, 3, 3), {"precision": "bf16x3"}, ValueError, "precision must be one of ieee, tf32x3, tf32"),
        (torch.zeros(1, 1, 3), {}, ValueError, r"x must have shape \(N, C, H, W\)"),
        (torch.zeros(1, 3, 3, 3), {"block": 2}, ValueError, "block must divide the channels"),
        (torch.zeros(1, 1, 1, 3), {}, ValueError, "must fit into the padded image"),
    ],
)
def test_refused(device, x, options, error, message):
    with pytest.raises(error, match="patch_covariance: .*" + message):
        patch_covariance(x.to(device), 2, backend="triton", **options)


def test_bfloat16_is_not_interpreted():
    if not interpreted():
        pytest.skip("a GPU computes bfloat16")
    with pytest.raises(NotImplementedError, match="interpreter computes bfloat16 wrongly"):
        patch_covariance(torch.zeros(1, 1, 3, 3, dtype=torch.bfloat16), 2, backend="triton")


def test_compiled_graphs_launch_the_gradient_that_is_judged(device, monkeypatch):
    seen = []
    monkeypatch.setattr(derivatives, "adjoint", lambda x, *_, precision: seen.append(precision) or torch.zeros_like(x))
    monkeypatch.setattr("ndbench.kernels.precision.interpreted", lambda: False)
    x = torch.ones(2, 4, 5, 5, dtype=torch.float16, device=device, requires_grad=True)
    patches, way = Patches.of(3, block=2), Way("auto", "auto", "triton", None)
    mean, cov = moments(x, patches, way)
    cov.sum().backward()
    adjoint_of(x.detach(), mean.detach(), mean.detach(), cov.detach(), patches, way)
    assert seen == [products_of_shifted(torch.float16, "ieee")] * 2
