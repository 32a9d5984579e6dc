"""What is asked, what was answered, what is true: promises kept, copies handed out, the right oracle chosen."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ndbench.catalog import CATALOG
from ndbench.problems import MatrixProblem
from ndbench.targets import Exact, Steps
from ndbench.verify.answers import BrokenPromise, Truths, answer, question, respond, true_values, truths
from ndbench.verify.values import compare
from ndbench.verify.verdict import NotRun
from tests.roots.spd import FIVE_FOUR, FIVE_FOUR_ROOT

SPECTRAL = CATALOG[0]
PROBLEM = MatrixProblem("geometric", 4, 10.0)


def answering(function):
    return replace(SPECTRAL, function=function)


def test_response_is_in_float64():
    found = respond(SPECTRAL, FIVE_FOUR.float()[None])
    assert found.dtype == np.float64
    np.testing.assert_allclose(found[0], FIVE_FOUR_ROOT, rtol=1e-6)


def test_response_needs_no_gradient():
    implementation = answering(lambda A: SPECTRAL.function(A.requires_grad_()))
    np.testing.assert_allclose(respond(implementation, FIVE_FOUR[None])[0], FIVE_FOUR_ROOT, rtol=1e-14)


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda A: A[0], "(2, 2) torch.float64"),
        (lambda A: A.float(), "(1, 2, 2) torch.float32"),
        (lambda A: A.numpy(), "ndarray"),
        (lambda A: (A, A), "tuple"),
        (lambda A: None, "NoneType"),
    ],
)
def test_a_broken_promise_is_named(function, got):
    with pytest.raises(BrokenPromise) as raised:
        respond(answering(function), FIVE_FOUR[None])
    assert str(raised.value) == f"the answer must be a tensor (1, 2, 2) torch.float64; got {got}"


def test_an_implementation_gets_a_copy():
    before = question(PROBLEM).clone()
    respond(answering(lambda A: A.zero_()), question(PROBLEM))
    assert torch.equal(question(PROBLEM), before)


def test_an_answer_is_computed_once():
    calls = []
    counted = answering(lambda A: calls.append(A.shape) or A)
    assert answer(counted, PROBLEM) is answer(counted, PROBLEM)
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("dtype", "condition", "source"),
    [(torch.float32, 10.0, "LAPACK eigh, float64"), (torch.bfloat16, 10.0, "LAPACK eigh, float64")],
)
def test_float64_grades_the_shorter_types(dtype, condition, source):
    found = truths(MatrixProblem("geometric", 4, condition, dtype=dtype), Exact())
    assert found.source == source
    assert (found.relative_error < 1e-13).all()


@pytest.mark.parametrize("problem", [MatrixProblem("geometric", 4, 10.0, dtype=torch.float64)], ids=lambda p: p.name)
def test_float64_does_not_grade_itself(problem):
    found = truths(problem, Exact())
    assert "LAPACK" not in found.source
    assert (found.relative_error <= 2.0**-52).all()


def test_float64_does_not_grade_float32_beyond_its_condition():
    nearly_singular = torch.diag(torch.tensor([1.0, 1e-9]))[None]
    assert "LAPACK" not in true_values(nearly_singular, Exact()).source


def test_truth_of_the_worked_example():
    found = true_values(torch.stack([FIVE_FOUR, 4 * FIVE_FOUR]).float(), Exact())
    np.testing.assert_allclose(found.value, torch.stack([FIVE_FOUR_ROOT, FIVE_FOUR_ROOT / 2]), rtol=1e-14)
    np.testing.assert_allclose(found.eigenvalues, [[1, 9], [4, 36]], rtol=1e-14)
    np.testing.assert_allclose(found.kappa, [9, 9], rtol=1e-14)


@pytest.mark.parametrize("smallest", [0.0, -1e-8], ids=["singular", "negative to rounding"])
def test_a_matrix_that_is_only_semidefinite_has_no_finite_condition(smallest):
    A = torch.diag(torch.tensor([1.0, smallest]))[None]
    assert true_values(A, Steps("newton_schulz", 5)).kappa.tolist() == [np.inf]


def test_a_truth_too_coarse_to_judge_is_not_run():
    coarse = Truths(np.eye(2)[None], np.array([0.2]), np.ones((1, 2)), "a guess")
    with pytest.raises(NotRun, match=r"^the truth \(a guess\) is known to 2\.0e-01 only, the budget is 1\.0e\+00$"):
        compare(np.eye(2)[None], coarse, np.array([1.0]))


def test_a_truth_ten_times_better_judges():
    fine = Truths(np.eye(2)[None], np.array([0.05]), np.ones((1, 2)), "a guess")
    found = compare(1.5 * np.eye(2)[None], fine, np.array([0.5]))
    assert (found.measured, found.budget) == (pytest.approx(0.5), 0.5)
    assert found.evidence == {"kappa": 1.0, "truth": "a guess", "truth_error": 0.05}


def test_a_budget_that_zeros_would_meet_is_none():
    fine = Truths(np.eye(2)[None], np.array([0.0]), np.ones((1, 2)), "a guess")
    with pytest.raises(NotRun, match="an answer with nothing right would pass"):
        compare(np.eye(2)[None], fine, np.array([0.6]))
