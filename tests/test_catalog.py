"""Every implementation by name: unique, callable, and true to what it declares."""

from dataclasses import replace

import pytest
import torch

from ndbench.catalog import (
    CATALOG,
    COVARIANCE,
    DECONVOLUTION,
    DECONVOLVED_CONV2D,
    DECONVOLVED_LINEAR,
    INVERSE_SQRT,
    LAYERS,
    OPERATIONS,
)
from ndbench.covariance_problems import CovarianceProblem, DeconvolutionProblem
from ndbench.operations.roots import METHODS
from ndbench.problems import MatrixProblem
from ndbench.targets import ITERATIONS, Exact, Steps
from ndbench.verify import covariance_suite, suite
from ndbench.verify.oracles import truth

# kernels are judged in tests/kernels, where Triton's interpreter runs
ON_CPU = [i for i in INVERSE_SQRT if "cpu" in i.devices]
SMALL = MatrixProblem("geometric", 4, 10.0, dtype=torch.float64)


def named(implementations):
    return pytest.mark.parametrize("implementation", implementations, ids=lambda i: i.name)


def test_names_are_unique_within_an_operation():
    names = [(i.operation, i.name) for i in CATALOG]
    assert len(set(names)) == len(names)
    assert {operation for operation, _ in names} == set(OPERATIONS)


def test_the_catalog_is_its_parts():
    assert CATALOG == INVERSE_SQRT + COVARIANCE + DECONVOLUTION + DECONVOLVED_CONV2D + DECONVOLVED_LINEAR + LAYERS


def test_every_method_and_every_iteration_is_there():
    assert {i.name.split(".")[0] for i in INVERSE_SQRT} == set(METHODS)
    assert {i.target.iteration for i in INVERSE_SQRT if i.target != Exact()} == set(ITERATIONS)


@named(ON_CPU)
def test_inverse_square_root_computes_its_target(implementation):
    A = SMALL.matrices()
    D = implementation.function(A)
    for found, matrix in zip(D.numpy(), A.numpy(), strict=True):
        expected = truth(matrix, implementation.target).value
        torch.testing.assert_close(torch.from_numpy(found), torch.from_numpy(expected), rtol=1e-12, atol=1e-12)


@named(ON_CPU)
def test_unchecked_gives_nan_where_the_function_raises(implementation):
    A = SMALL.matrices()
    A[1] = -A[1]
    with pytest.raises(ValueError, match=r"at batch index \[1\]: not positive definite"):
        implementation.function(A)
    found = implementation.unchecked_only().function(A)
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


@named([i for i in COVARIANCE if "cpu" in i.devices])
def test_covariance_runs(implementation):
    problem = CovarianceProblem(dtype=torch.float64)
    mean, cov = implementation.function(problem.x(), **problem.arguments())
    X = torch.nn.functional.unfold(problem.x(), 3).mT.flatten(0, 1)
    torch.testing.assert_close(mean, X.mean(0), rtol=0, atol=1e-14)
    torch.testing.assert_close(cov, torch.cov(X.mT, correction=0), rtol=0, atol=1e-13)


@named(DECONVOLUTION)
def test_deconvolution_runs(implementation):
    problem = DeconvolutionProblem(kernel_size=None, channels=4, outputs=3, dtype=torch.float64)
    weight, bias, mean, D = problem.weight(), problem.bias(), problem.mean(), problem.matrix()
    x = problem.patches()
    new_weight, new_bias = implementation.function(weight, bias, mean, D)
    torch.testing.assert_close(x @ new_weight.mT + new_bias, (x - mean) @ D @ weight.mT + bias)


@named([i for i in INVERSE_SQRT if i.iterates])
def test_iterates_tend_to_the_root(implementation):
    A = SMALL.matrices()
    iterates = implementation.iterates(A)
    X = [next(iterates)[0] for _ in range(25)][-1]
    torch.testing.assert_close(X @ A @ X, torch.eye(4, dtype=A.dtype).expand(2, 4, 4), rtol=0, atol=1e-11)


def test_targets_are_printed_with_their_steps():
    printed = {i.name: str(i.target) for i in INVERSE_SQRT}
    assert printed["spectral"] == "exact"
    assert printed["newton_schulz.converged"] == "exact"
    assert printed["newton_schulz.T5"] == "5 steps of newton_schulz"
    assert printed["denman_beavers.T9s4"] == "9 steps of denman_beavers"
    assert {i.name: i.target for i in INVERSE_SQRT}["denman_beavers.T9s4"] == Steps("denman_beavers", 9, scaled_steps=4)


def test_only_a_true_order_is_declared():
    orders = {i.name: i.order for i in INVERSE_SQRT if i.order}
    assert orders.pop("minimax_quintic.converged.lower1") == 3
    assert set(orders.values()) == {2}


def test_exemptions_name_checks_and_say_why():
    checks = {check.name for check in (*suite.CHECKS, *covariance_suite.CHECKS)}
    for implementation in CATALOG:
        assert set(implementation.exempt) <= checks
        assert bool(implementation.exempt) == bool(implementation.exempt_reason)


def test_an_implementation_is_a_value():
    assert replace(CATALOG[0]) == CATALOG[0]
    assert len(set(CATALOG)) == len(CATALOG)
