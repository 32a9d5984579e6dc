"""Sizes that fill a GPU, shown to catch what is wrong there alone, and to launch every configuration of kernels."""

from dataclasses import replace

import pytest
import torch

from ndbench.catalog import CATALOG
from ndbench.kernels import covariance, precision, runtime
from ndbench.kernels.runtime import shapes_serving
from ndbench.verify import kernels
from ndbench.verify.kernel_sizes import IMAGES, MATRICES, TYPES, RepeatedProblem
from ndbench.verify.resources.collection import all_variants
from ndbench.verify.runner import Selection, cases
from ndbench.verify.verdict import Status
from tests.kernels.compiled import declared, watched
from tests.kernels.launches import DENMAN_BEAVERS, NEWTON_SCHULZ

ROOT = next(i for i in CATALOG if i.name == "newton_schulz.T5")
COVARIANCE = next(i for i in CATALOG if i.name == "lagged")
VALUE, GRADIENT, OF_IMAGES, GRADIENT_OF_IMAGES = (
    next(c for c in kernels.CHECKS if c.name == kernels.FAMILY + name and c.operation == operation)
    for operation in ("inverse-sqrt", "covariance")
    for name in ("sizes", "sizes-gradients")
)
MANY = next(problem for problem in MATRICES if isinstance(problem, RepeatedProblem))
WIDE = next(problem for problem in IMAGES if problem.block == 22)
SLOTS = (2 * 108, 2 * 132, 2 * 148, 2 * 188)
"""Programs of a persistent grid, on multiprocessors of an A100, an H200, a B200 and an RTX PRO 6000."""


class Stale(torch.autograd.Function):
    """Rows of a batch, of which every one beyond the first `slots` has what the program's matrix before it left."""

    @staticmethod
    def forward(ctx, X, slots, of_values):
        ctx.slots, ctx.of_values = slots, of_values
        return left_behind(X, slots) if of_values else X.clone()

    @staticmethod
    def backward(ctx, G):
        return G if ctx.of_values else left_behind(G, ctx.slots), None, None


def left_behind(X, slots):
    return torch.cat([X[:slots], X[: max(0, len(X) - slots)]])


def stale_after(slots, *, of_values):
    """The root by programs that do not load their second matrix, or, for its gradient alone, their second G."""
    return replace(ROOT, function=lambda A, **how: Stale.apply(ROOT.function(A, **how), slots, of_values))


@pytest.mark.parametrize("check", [VALUE, GRADIENT], ids=["value", "gradient"])
def test_right_roots_pass(check):
    assert check(ROOT, MANY).passed


@pytest.mark.parametrize("slots", SLOTS)
def test_a_second_matrix_that_finds_the_first_is_caught(slots):
    assert not VALUE(stale_after(slots, of_values=True), MANY).passed
    sabotaged = stale_after(slots, of_values=False)
    assert VALUE(sabotaged, MANY).passed
    assert not GRADIENT(sabotaged, MANY).passed


@pytest.mark.parametrize("check", [VALUE, GRADIENT], ids=["value", "gradient"])
def test_fewer_matrices_than_programs_do_not_show_it(check):
    assert check(stale_after(SLOTS[0], of_values=check is VALUE), replace(MANY, times=30)).passed


def without_channels_beyond(tile):
    """A covariance whose tile of channels has no neighbours."""

    def function(x, kernel_size, **how):
        kept = torch.cat([x[:, :tile], torch.zeros_like(x[:, tile:])], 1)
        return COVARIANCE.function(kept, kernel_size, **how)

    return replace(COVARIANCE, function=function)


@pytest.mark.parametrize("check", [OF_IMAGES, GRADIENT_OF_IMAGES], ids=["value", "gradient"])
def test_channels_beyond_a_tile_are_judged(check):
    assert check(COVARIANCE, WIDE).passed
    assert not check(without_channels_beyond(16), WIDE).passed


def test_a_promised_gradient_that_is_refused_fails():
    silent = replace(ROOT, function=lambda A: ROOT.function(A.detach()))
    assert GRADIENT(silent, MANY).status == Status.FAILED
    assert GRADIENT(replace(silent, derivatives=()), MANY).status == Status.NOT_RUN


def test_the_sizes_are_those_that_other_problems_lack():
    assert {(p.n, p.dtype) for p in MATRICES} == {(n, d) for n in (40, 100, 600) for d in TYPES} | {
        (1152, torch.float32)
    }
    assert all(p.batch > max(SLOTS) for p in MATRICES if p.n <= 128)
    assert all(slots % MANY.few.batch for slots in SLOTS)
    assert {16, 20, 40, 70} <= {p.block for p in IMAGES}


UNREACHED: dict[str, str] = {}
"""Configurations that no case can launch on an NVIDIA device, each with the reason."""


@pytest.fixture
def launched(monkeypatch):
    """What kernels would compile on an NVIDIA device of 132 multiprocessors; none runs."""
    monkeypatch.setattr(torch.version, "hip", None)
    for module in (precision, runtime):
        monkeypatch.setattr(module, "interpreted", lambda: False)
    return watched((*covariance.MODULES, *NEWTON_SCHULZ, *DENMAN_BEAVERS), "nvidia", monkeypatch)


def launch(case):
    """Run what the checks of bits run, on shapes alone."""
    implementation = case.implementation
    free = implementation.unchecked_only() if implementation.unchecked else implementation
    function, x = kernels.posed(replace(free, devices=("meta",)), case.problem)
    with shapes_serving():
        kernels.in_both_layouts(function)(x)


def on_a_gpu(check):
    """The cases of a check, in the tier that is run by default, that are not "not run" for their type."""
    found = cases(Selection(checks=(check,), device="cuda"))
    return [case for case in found if case.problem.dtype in case.implementation.dtypes]


def unlaunched(launched):
    """Names of the configurations for NVIDIA's devices that are not among what was launched."""
    wanted = [(declared(variant), variant.name) for variant in all_variants() if "nvidia" in variant.vendors]
    return {name for told, name in wanted if told not in launched}


def test_every_configuration_is_launched_on_a_gpu(launched):
    for case in on_a_gpu("kernel-repeatability"):
        launch(case)
    missing = unlaunched(launched)
    assert missing == UNREACHED.keys(), "\n".join(["launched by no case:", *sorted(missing - UNREACHED.keys())])


def test_what_small_problems_leave_out_is_noticed(launched):
    for case in on_a_gpu("kernel-offsets"):
        launch(case)
    missing = unlaunched(launched)
    assert {"newton_schulz.tiled_products/64/tf32x3", "denman_beavers.tile_product/plain/64/ieee"} <= missing
    assert {"covariance.lagged/32/pixels_last/fp32/ieee", "covariance.adjoint/64/channels_last/fp16/tf32x3"} <= missing
    assert "newton_schulz.scratch/64/ieee" not in missing


def test_streams_are_given_the_same():
    repeated, streamed = (
        [(case.implementation.name, case.problem) for case in on_a_gpu(f"kernel-{name}")]
        for name in ("repeatability", "streams")
    )
    assert repeated == streamed
