"""Budgets are the formulas that their docstrings print."""

import pytest
import torch

from ndbench.verify import budgets

U = 2.0**-24


@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [(torch.float64, -53), (torch.float32, -24), (torch.float16, -11), (torch.bfloat16, -8)],
)
def test_unit_roundoff(dtype, exponent):
    assert budgets.unit_roundoff(dtype) == 2.0**exponent


@pytest.mark.parametrize(
    ("formula", "arguments", "expected"),
    [
        (budgets.forward, (12, 1.0), 17.5 * U),
        (budgets.forward, (12, 100.0, 1.0), 50 * 28 * U),
        (budgets.steps, (16, 10.0, 0.5), 11 * 9 * U),
        (budgets.steps, (16, 10.0, 40.0), 50 * 9 * U),
        (budgets.whitening, (16, 100.0), 2 * 26 * 100 * U),
        (budgets.commutation, (16, 100.0), 2 * 26 * 10 * U),
        (budgets.symmetry, (16, 100.0), 26 * 100 * U),
        (budgets.versus_eigh, (32, 16.0, 1e-3), 10 * (1e-3 + 4 * U)),
    ],
)
def test_values(formula, arguments, expected):
    assert formula(U, *arguments) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("formula", [budgets.forward, budgets.whitening, budgets.commutation, budgets.symmetry])
def test_budgets_are_proportional_to_the_roundoff_and_never_shrink(formula):
    assert formula(2 * U, 12, 1e3) == 2 * formula(U, 12, 1e3)
    assert formula(U, 12, 1e3) <= formula(U, 13, 1e3)
    assert formula(U, 12, 1e3) <= formula(U, 12, 2e3)


def test_steps_allows_no_less_than_one_unit_of_running_error():
    assert budgets.steps(U, 16, 1.0, 0.0) == budgets.steps(U, 16, 1.0, 1.0)


def test_forward_allows_no_less_than_a_well_conditioned_matrix_gets():
    assert budgets.forward(U, 16, 1.0) == budgets.forward(U, 16, 2.0) < budgets.forward(U, 16, 3.0)
