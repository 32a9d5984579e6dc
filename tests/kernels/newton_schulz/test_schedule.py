from functools import partial

import pytest
import torch

from ndbench.kernels.newton_schulz.schedule import Schedule, steps_schedule, tables, tangent_schedule
from ndbench.roots.adjoints.choice import steps_of
from ndbench.roots.adjoints.coupled import polynomial
from tests.kernels.newton_schulz.comparison import ITERATIONS
from tests.roots.spd import batch

every_iteration = pytest.mark.parametrize("iteration", ITERATIONS.values(), ids=ITERATIONS)


def run(schedule: Schedule, *start: torch.Tensor) -> list[torch.Tensor]:
    """The buffers after all phases, in float64; a buffer holds NaN until it is written."""
    eye = torch.eye(start[0].shape[-1], dtype=torch.float64)
    buffers = [*start, *(torch.full_like(start[0], torch.nan) for _ in range(schedule.buffers - len(start)))]
    for group in schedule.groups:
        written = {}
        for phase in group:
            S = sum((buffers[left] @ buffers[right] for left, right in phase.terms), torch.zeros_like(eye))
            add = buffers[phase.add]
            written[phase.out] = phase.delta * eye + phase.beta * add + phase.gamma * S
            written[phase.out] += phase.flipped_beta * add.mT + phase.flipped_gamma * S.mT
            if phase.symmetric:
                assert torch.allclose(written[phase.out], written[phase.out].mT, rtol=1e-10, atol=1e-10)
        assert len(written) == len(group)
        for number, value in written.items():
            buffers[number] = value
    return buffers


def steps_on(M: torch.Tensor, coefficients) -> torch.Tensor:
    eye = torch.eye(len(M), dtype=M.dtype)
    Z = eye
    for step in coefficients:
        H = polynomial(M, eye, step)
        M, Z = H @ M @ H, Z @ H
    return Z


@every_iteration
def test_the_steps_are_those_of_the_iteration(iteration):
    M = batch(6, 10.0, shape=())
    M = M / torch.linalg.matrix_norm(M)
    schedule = steps_schedule(iteration.coefficients)
    Z = run(schedule, M)[schedule.answer]
    assert torch.allclose(Z, steps_on(M, iteration.coefficients), rtol=1e-12, atol=1e-12)


@every_iteration
@pytest.mark.parametrize("whole", [False, True])
def test_the_tangent_is_the_derivative(iteration, whole):
    M = batch(6, 10.0, shape=())
    M = M / torch.linalg.matrix_norm(M)
    E = batch(6, 3.0, shape=())
    schedule = tangent_schedule(iteration.coefficients, whole=whole)
    buffers = run(schedule, M, E)
    # the derivative is self-adjoint: reverse mode gives the same
    expected = torch.func.vjp(lambda X: steps_on(X, iteration.coefficients), M)[1](E)[0]
    assert torch.allclose(buffers[schedule.answer + 1], expected, rtol=1e-11, atol=1e-11)
    assert torch.equal(buffers[0], M)
    assert torch.equal(buffers[1], E)


def products(schedule: Schedule) -> int:
    return sum(len(phase.terms) for phase in schedule.phases)


@pytest.mark.parametrize("T", [1, 2, 5])
def test_products(T):
    for method, expected, of_whole in (
        ("newton_schulz", 3 * T - 3, 7 * T - 7),
        ("minimax_quintic", 4 * T - 3, 11 * T - 9),
    ):
        coefficients = steps_of(method, T, 1e-4, 0).coefficients
        assert products(steps_schedule(coefficients)) == expected
        assert products(tangent_schedule(coefficients)) == 3 * expected
        assert products(tangent_schedule(coefficients, whole=True)) == of_whole


@every_iteration
@pytest.mark.parametrize("schedule_of", [steps_schedule, tangent_schedule, partial(tangent_schedule, whole=True)])
def test_no_phase_reads_what_its_group_writes(iteration, schedule_of):
    for group in schedule_of(iteration.coefficients).groups:
        read = {number for phase in group for number in (phase.add, *sum(phase.terms, ()))}
        assert not read & {phase.out for phase in group}


def test_few_buffers_and_few_launches():
    five = steps_of("newton_schulz", 5, 1e-4, 0).coefficients
    assert (steps_schedule(five).buffers, len(steps_schedule(five).groups)) == (4, 9)
    quintic = steps_of("minimax_quintic", 5, 1e-4, 0).coefficients
    assert (steps_schedule(quintic).buffers, len(steps_schedule(quintic).groups)) == (5, 14)


def test_tables_are_copied_once():
    schedule = steps_schedule(steps_of("minimax_quintic", 2, 1e-4, 0).coefficients)
    operands, factors = tables(schedule, torch.device("cpu"))
    assert operands.shape == (len(schedule.phases), 8)
    assert factors.shape == (len(schedule.phases), 8)
    assert tables(schedule, torch.device("cpu"))[0] is operands


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least one step"):
        steps_schedule(())
