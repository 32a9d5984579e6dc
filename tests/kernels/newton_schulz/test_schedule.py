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
            products = sum((buffers[left] @ buffers[right] for left, right in phase.terms), torch.zeros_like(eye))
            written[phase.out] = phase.delta * eye + phase.beta * buffers[phase.add] + phase.gamma * products
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
def test_the_tangent_is_the_derivative(iteration):
    M = batch(6, 10.0, shape=())
    M = M / torch.linalg.matrix_norm(M)
    E = batch(6, 3.0, shape=())
    schedule = tangent_schedule(iteration.coefficients)
    buffers = run(schedule, M, E)
    _, expected = torch.func.jvp(lambda X: steps_on(X, iteration.coefficients), (M,), (E,))
    assert torch.allclose(buffers[schedule.answer + 1], expected, rtol=1e-11, atol=1e-11)
    assert torch.equal(buffers[0], M)
    assert torch.equal(buffers[1], E)


@pytest.mark.parametrize("T", [1, 2, 5])
def test_products(T):
    for method, expected in (("newton_schulz", 3 * T - 3), ("minimax_quintic", 4 * T - 3)):
        coefficients = steps_of(method, T, 1e-4, 0).coefficients
        assert sum(len(phase.terms) for phase in steps_schedule(coefficients).phases) == expected
        assert sum(len(phase.terms) for phase in tangent_schedule(coefficients).phases) == 3 * expected


@every_iteration
@pytest.mark.parametrize("schedule_of", [steps_schedule, tangent_schedule])
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
    assert factors.shape == (len(schedule.phases), 4)
    assert tables(schedule, torch.device("cpu"))[0] is operands


def test_no_steps_are_refused():
    with pytest.raises(ValueError, match="at least one step"):
        steps_schedule(())
