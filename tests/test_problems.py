"""Problems are frozen, seeded and named, and hold what their names say."""

from dataclasses import FrozenInstanceError, replace
from fractions import Fraction

import numpy as np
import pytest
import scipy.linalg
import torch

from ndbench.images import photograph
from ndbench.problems import (
    NAMED,
    STRUCTURED,
    ActivationProblem,
    MatrixProblem,
    PhotographProblem,
    dtype_name,
    planted,
    relu_activations,
)
from ndbench.spectra import SPECTRA
from ndbench.verify.problem_sets import VALUES

DOUBLE = MatrixProblem("geometric", 8, 1e3, dtype=torch.float64)
PHOTOGRAPH = PhotographProblem("camera", 2)
ACTIVATIONS = ActivationProblem("coffee", 2, channels=3)
ONE_OF_EACH = [DOUBLE, PHOTOGRAPH, ACTIVATIONS]
REPEATED = [p for p in VALUES["quick"] if getattr(p, "matrix", None) == "repeated"]


def condition(A):
    eigenvalues = torch.linalg.eigvalsh(A.double())
    return eigenvalues[..., -1] / eigenvalues[..., 0]


@pytest.mark.parametrize("name", [*SPECTRA, *STRUCTURED])
@pytest.mark.parametrize("kappa", [4.0, 4.0**5])
def test_planted_condition_is_attained(name, kappa):
    A = MatrixProblem(name, 8, kappa, batch=3, dtype=torch.float64).matrices()
    torch.testing.assert_close(condition(A), torch.full((3,), kappa).double(), rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", [*SPECTRA, *STRUCTURED, *NAMED])
def test_matrices_are_symmetric_definite_and_four_times_one_another(name):
    A = MatrixProblem(name, 4, 10.0, batch=3, dtype=torch.float64).matrices()
    assert A.shape == (3, 4, 4)
    assert torch.equal(A, A.mT)
    largest = torch.linalg.eigvalsh(A)
    assert (largest[:, 0] > 0).all()
    torch.testing.assert_close(largest[1:, -1] / largest[:-1, -1], torch.full((2,), 4.0).double())


def test_exponent_multiplies_by_a_power_of_two_exactly():
    scaled = replace(DOUBLE, exponent=-500).matrices()
    assert torch.equal(scaled, DOUBLE.matrices() * 2.0**-500)


@pytest.mark.parametrize("problem", REPEATED, ids=lambda p: p.name)
def test_repeated_is_exact_in_rational_arithmetic(problem):
    n = problem.n
    H = scipy.linalg.hadamard(n).astype(object)
    eigenvalues = [Fraction(x) for x in SPECTRA["repeated"](n, problem.condition, None)]
    A = [[Fraction(x) for x in row] for row in problem.matrices()[0].double().tolist()]
    exact = (H * np.array(eigenvalues)) @ H.T
    assert (exact == n * np.array(A)).all()
    assert len(set(eigenvalues)) < n


def test_values_of_the_named_matrices():
    third = torch.tensor([[1, 1 / 2], [1 / 2, 1 / 3]], dtype=torch.float64)
    assert torch.equal(MatrixProblem("hilbert", 2, dtype=torch.float64).matrices()[0], third)
    assert MatrixProblem("lehmer", 2).matrices()[0].tolist() == [[1, 0.5], [0.5, 1]]
    assert MatrixProblem("minij", 3).matrices()[0].tolist() == [[1, 1, 1], [1, 2, 2], [1, 2, 3]]
    assert torch.equal(MatrixProblem("identity", 3).matrices()[1], 4 * torch.eye(3))
    # 2 sqrt(1 * 2) / (1 + 2) and 2 sqrt(1 * 4) / (1 + 4)
    cauchy = MatrixProblem("cauchy", 3, dtype=torch.float64).matrices()[0, 0]
    torch.testing.assert_close(cauchy, torch.tensor([1, 8**0.5 / 3, 0.8], dtype=torch.float64))


def test_patterns():
    diagonal = MatrixProblem("diagonal", 5, 10.0).matrices()[0]
    assert torch.equal(diagonal, diagonal.diagonal().diag())
    blocks = MatrixProblem("block_diagonal", 5, 10.0).matrices()[0]
    assert (blocks[:2, 2:] == 0).all()
    assert (blocks[:2, :2] != 0).all()
    assert (blocks[2:, 2:] != 0).all()


def test_the_hilbert_matrix_is_that_of_scipy():
    found = MatrixProblem("hilbert", 7, batch=1, dtype=torch.float64).matrices()[0]
    assert (found.numpy() == scipy.linalg.hilbert(7)).all()


def test_planted_eigenvectors_are_orthogonal_and_random():
    A = planted(np.array([1.0, 2.0, 3.0]), np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.eigvalsh(A), [1, 2, 3], rtol=1e-14)
    assert abs(A - np.diag(np.diag(A))).max() > 0.1


@pytest.mark.parametrize("problem", ONE_OF_EACH, ids=lambda p: p.name)
def test_the_same_problem_gives_the_same_bits(problem):
    assert torch.equal(problem.matrices(), replace(problem).matrices())


@pytest.mark.parametrize("problem", [DOUBLE, ACTIVATIONS], ids=lambda p: p.name)
def test_another_seed_gives_other_matrices(problem):
    other = replace(problem, seed=1)
    assert not torch.equal(problem.matrices(), other.matrices())
    assert problem.name != other.name


def test_matrices_of_one_batch_have_different_eigenvectors():
    first, second = DOUBLE.matrices()
    assert not torch.allclose(4 * first, second)


@pytest.mark.parametrize("problem", ONE_OF_EACH, ids=lambda p: p.name)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_every_type_is_float64_rounded_once(problem, dtype):
    rounded = replace(problem, dtype=dtype).matrices()
    assert rounded.dtype == dtype
    assert torch.equal(rounded, replace(problem, dtype=torch.float64).matrices().to(dtype))


@pytest.mark.parametrize("problem", ONE_OF_EACH, ids=lambda p: p.name)
def test_problems_are_frozen_and_can_be_keys(problem):
    with pytest.raises(FrozenInstanceError):
        problem.dtype = torch.float16
    assert {problem: 1}[replace(problem)] == 1


def test_names():
    assert DOUBLE.name == "geometric-n8-k1e3-b2-float64-s0"
    assert MatrixProblem("hilbert", 4, exponent=-60, seed=2).name == "hilbert-n4-b2-2^-60-float32-s2"
    assert PHOTOGRAPH.name == "photo_camera-rgb-k2-float32"
    assert replace(PHOTOGRAPH, gray=True).name == "photo_camera-gray-k2-float32"
    assert ACTIVATIONS.name == "relu_coffee-c3-k2-float32-s0"
    assert dtype_name(torch.bfloat16) == "bfloat16"


DIFFERENCES = [
    *((DOUBLE, change) for change in ({"matrix": "one_small"}, {"n": 9}, {"condition": 1e4}, {"batch": 3})),
    *((DOUBLE, change) for change in ({"dtype": torch.float32}, {"exponent": 1}, {"condition": 1.2e3})),
    *((PHOTOGRAPH, change) for change in ({"photograph": "moon"}, {"kernel": 3}, {"eps": 1e-3}, {"size": 64})),
    *((ACTIVATIONS, change) for change in ({"photograph": "rocket"}, {"channels": 4}, {"eps": 1e-3})),
]


@pytest.mark.parametrize(("problem", "change"), DIFFERENCES, ids=lambda x: getattr(x, "name", str(x)))
def test_a_name_tells_every_difference(problem, change):
    assert replace(problem, **change).name != problem.name


@pytest.mark.parametrize("tier", ["quick", "full"])
def test_names_are_unique_within_a_tier(tier):
    names = [problem.name for problem in VALUES[tier]]
    assert len(set(names)) == len(names)


def test_unknown_matrix():
    known = ", ".join([*SPECTRA, *NAMED, *STRUCTURED])
    with pytest.raises(ValueError, match="MatrixProblem") as raised:
        MatrixProblem("toeplitz", 4)
    assert str(raised.value) == f"MatrixProblem: matrix must be one of {known}; got 'toeplitz'"


def test_repeated_needs_a_power_of_two():
    with pytest.raises(ValueError, match="MatrixProblem: 'repeated' needs n to be a power of 2; got 12"):
        MatrixProblem("repeated", 12)


@pytest.mark.parametrize("gray", [False, True])
def test_covariance_of_a_photograph_is_that_of_its_patches_one_by_one(gray):
    size, k = 6, 2
    problem = PhotographProblem("astronaut", k, gray=gray, eps=0.5, size=size, dtype=torch.float64)
    image = photograph("astronaut", gray=gray, size=size) / 1.0
    image = (image - image.mean()) / image.std()
    places = [(i, j) for i in range(size - k + 1) for j in range(size - k + 1)]
    patches = np.array(
        [[channel[i + a, j + b] for channel in image for a in range(k) for b in range(k)] for i, j in places]
    )
    centered = patches - patches.mean(axis=0)
    expected = sum(np.outer(p, p) for p in centered) / len(places) + 0.5 * np.eye(patches.shape[1])
    np.testing.assert_allclose(problem.matrices()[0], expected, rtol=1e-12, atol=1e-13)
    assert problem.n == len(expected)


def test_activations_are_those_of_a_biased_convolution():
    found = relu_activations("coffee", 3, seed=0, size=12)
    assert found.shape == (3, 8, 8)
    image = photograph("coffee", size=12) / 1.0
    image = (image - image.mean()) / image.std(ddof=1)
    weight = np.random.default_rng([0, 3]).standard_normal((3, 3, 5, 5)) / 8
    corner = max(0, (weight[1] * image[:, :5, 2:7]).sum() + 1.5)
    assert found[1, 0, 2] == pytest.approx(corner, rel=1e-12)
    assert found.min() >= 0


def test_activations_have_a_large_mean():
    active = relu_activations("coffee", 8, seed=0)
    assert np.median(active.mean(axis=(1, 2)) / active.std(axis=(1, 2))) > 1
    assert ActivationProblem("coffee", 3).n == 72
    assert ActivationProblem("coffee", 1).matrices().shape == (1, 8, 8)
