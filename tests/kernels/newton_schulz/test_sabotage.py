"""Wrong schedules and wrong kernels are told from right ones by what the other tests measure."""

from dataclasses import replace

import pytest
import torch

from ndbench.catalog import CATALOG
from ndbench.kernels.newton_schulz import CoupledKernels, scratch, scratch_adjoint, small, tiled
from ndbench.kernels.newton_schulz.schedule import Phase, Schedule, steps_schedule, tangent_schedule
from ndbench.verify.kernels import MATRICES, offsets
from tests.kernels.newton_schulz.comparison import (
    ALLOWED,
    THREE,
    distance,
    kernels,
    matrices,
    true_gradient,
    true_root,
    upstream,
)
from tests.verify.test_kernels import near


def changed(schedule: Schedule, number: int, **changes) -> Schedule:
    """The schedule with one phase changed."""
    phases = list(schedule.phases)
    phases[number] = replace(phases[number], **changes)
    found = iter(phases)
    return replace(schedule, groups=tuple(tuple(next(found) for _ in group) for group in schedule.groups))


RIGHT = steps_schedule(THREE.coefficients)
LAST = len(RIGHT.phases) - 1
TANGENT = tangent_schedule(THREE.coefficients)

WRONG_STEPS = {
    "a factor off by 1e-4": changed(RIGHT, LAST, gamma=RIGHT.phases[LAST].gamma * (1 + 1e-4)),
    "the last product missing": changed(RIGHT, LAST, terms=()),
    "a step's product missing": changed(RIGHT, 2, terms=()),
    "another operand": changed(RIGHT, LAST, terms=((0, 0),)),
    "no identity": changed(RIGHT, 1, delta=0.0),
    "a stale answer": replace(RIGHT, answer=RIGHT.phases[LAST].add),
}


def without_second_term(phase: Phase) -> Phase:
    return replace(phase, terms=phase.terms[:1])


WRONG_TANGENTS = {
    "half of a product's derivative": replace(
        TANGENT, groups=tuple(tuple(map(without_second_term, group)) for group in TANGENT.groups)
    ),
    "the derivative of Z forgotten": replace(TANGENT, answer=TANGENT.answer - 1),
}


@pytest.mark.parametrize("wrong", WRONG_STEPS.values(), ids=WRONG_STEPS)
@pytest.mark.parametrize(("run", "n"), [(scratch.run, 40), (tiled.run, 33)], ids=["scratch", "tiled"])
def test_wrong_steps(wrong, run, n, device):
    A = matrices(n, device, count=1)
    assert distance(run(A, RIGHT, "ieee"), true_root(A)) <= ALLOWED
    assert not distance(run(A, wrong, "ieee"), true_root(A)) <= ALLOWED


@pytest.mark.parametrize("wrong", WRONG_TANGENTS.values(), ids=WRONG_TANGENTS)
@pytest.mark.parametrize(("run", "n"), [(scratch_adjoint.run, 40), (tiled.pull_back, 33)], ids=["scratch", "tiled"])
def test_wrong_tangents(wrong, run, n, device):
    A = matrices(n, device, count=1)
    G = upstream(A)
    assert distance(run(A, G, TANGENT, "ieee"), true_gradient(A, G)) <= ALLOWED
    assert not distance(run(A, G, wrong, "ieee"), true_gradient(A, G)) <= ALLOWED


def test_no_tiles(device, monkeypatch):
    """A tile that nobody writes shows, because buffers begin as NaN."""
    A = matrices(40, device, count=1)
    monkeypatch.setattr(scratch, "configuration", _untiled(scratch.configuration))
    assert not distance(kernels().run(A)[0], true_root(A)) <= ALLOWED


def test_one_launch_missing(device):
    A = matrices(130, device, count=1)
    shorter = replace(RIGHT, groups=RIGHT.groups[:-1])
    assert not distance(tiled.run(A, shorter, "ieee"), true_root(A)) <= ALLOWED


def _untiled(configuration):
    def wrong(*arguments, **options):
        right = configuration(*arguments, **options)
        return replace(right, constants={**right.constants, "TILES": 0})

    return wrong


def test_the_norm_of_another_matrix(device, monkeypatch):
    right = tiled.tiled_scaling.squares
    monkeypatch.setattr(tiled.tiled_scaling, "squares", lambda A: right(A.flip(0)))
    A = matrices(130, device)
    assert not distance(kernels().run(A)[0], true_root(A)) <= ALLOWED


def test_one_step_missing(device, monkeypatch):
    right = small.run
    monkeypatch.setattr(small, "run", lambda A, table, **options: right(A, table[:-1].contiguous(), **options))
    A = matrices(20, device, count=1)
    assert not distance(kernels().run(A)[0], true_root(A)) <= ALLOWED


def test_the_suite_sees_offsets_of_32_bits_inside_a_kernel(device, monkeypatch):
    # untouched pages take no memory
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)
    entry = next(i for i in CATALOG if i.name == "minimax_cubic.T5.triton.ieee")
    entry = replace(entry, devices=("interpreter" if device == "cpu" else device,))
    assert offsets(entry, MATRICES[0]).measured == 0
    right = CoupledKernels.run
    monkeypatch.setattr(CoupledKernels, "run", lambda kernels, A: right(kernels, near(A)))
    assert offsets(entry, MATRICES[0]).measured > 0
