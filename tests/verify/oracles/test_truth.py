import numpy as np
import pytest

from ndbench.targets import ITERATIONS, Exact, Steps
from ndbench.verify.oracles import OracleUnavailable, balls, truth
from ndbench.verify.oracles.closed_forms import diagonal, hadamard, minij, scaled_identity, squared_pascal, two_by_two
from ndbench.verify.oracles.errors import oracle_errors, planted

TARGETS = [Exact(), *(Steps(name, 5) for name in ITERATIONS), Steps("denman_beavers", 5, scaled_steps=5)]
SPECTRA = [minij(8), hadamard([0, 2, 2, 9]), diagonal([1e-6, 1.0, 3.0]), scaled_identity(3, 7.0)]
ROOTS = [two_by_two(2.0, 1.0, 3.0), two_by_two(1.0, 1.0, 1.0 + 2.0**-30), squared_pascal(4), squared_pascal(8)]
ROUNDING = 2.0**-53

needs_flint = pytest.mark.skipif(not balls.AVAILABLE, reason="python-flint is not installed")


def distance(X, want):
    return np.linalg.norm(X - want) / np.linalg.norm(want)


@needs_flint
@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("known", SPECTRA, ids=lambda known: known.name)
def test_certified_truth_is_the_correctly_rounded_closed_form(known, target):
    found = truth(known.A, target, precision="certified")
    assert found.rigorous
    assert found.relative_error <= ROUNDING
    assert (found.value == known.truth(target)).all(), found.source


@needs_flint
@pytest.mark.parametrize("known", ROOTS, ids=lambda known: f"{known.name}-{len(known.A)}")
def test_certified_truth_of_known_roots(known):
    assert (truth(known.A, Exact(), precision="certified").value == known.inverse_sqrt).all()


@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("known", SPECTRA, ids=lambda known: known.name)
def test_float64_truth_stays_within_its_estimate(known, target):
    found = truth(known.A, target)
    assert not found.rigorous
    assert (found.value == found.value.T).all()
    assert distance(found.value, known.truth(target)) <= found.relative_error


@needs_flint
@pytest.mark.parametrize("condition", [1e2, 1e6, 1e12])
@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_float64_estimate_is_above_the_error_and_not_far_above(condition, target):
    ratios = []
    for seed in range(4):
        A = planted(24, condition, seed)
        found, certified = truth(A, target), truth(A, target, precision="certified")
        ratios.append(distance(found.value, certified.value) / found.relative_error)
    assert max(ratios) <= 1
    assert max(ratios) >= 1 / 200


@needs_flint
@pytest.mark.parametrize(
    ("target", "source"),
    [
        (Exact(), "residual in ball arithmetic"),
        (Steps("newton_schulz", 5), "newton_schulz in ball arithmetic"),
        (Steps("newton_schulz", 15), "flint acb_mat.eig"),
        (Steps("denman_beavers", 5), "flint acb_mat.eig"),
    ],
    ids=str,
)
def test_source_names_the_oracle(target, source):
    assert truth(planted(5, 1e3, 0), target, precision="certified").source.startswith(source)
    assert truth(planted(5, 1e3, 0), target).source.startswith("LAPACK")


@needs_flint
@pytest.mark.parametrize("n", [10, 12])
def test_eigenvalues_take_over_where_refinement_from_float64_fails(n):
    # condition 2e19 and 8e23: the smallest eigenvalue of eigh is noise
    known = squared_pascal(n)
    found = truth(known.A, Exact(), precision="certified")
    assert found.source.startswith("flint acb_mat.eig")
    assert (found.value == known.inverse_sqrt).all()


@needs_flint
def test_no_truth_for_a_repeated_eigenvalue_that_refinement_cannot_reach():
    with pytest.raises(OracleUnavailable, match="the spectrum repeats"):
        truth(-np.eye(3), Exact(), precision="certified")


@pytest.mark.parametrize("target", TARGETS, ids=str)
def test_mpmath_stands_in_for_flint(target, monkeypatch):
    monkeypatch.setattr(balls, "AVAILABLE", False)
    known = minij(5)
    found = truth(known.A, target, precision="certified")
    assert found.source == "mpmath eigsy, 50 digits"
    assert not found.rigorous
    assert found.relative_error < 1.01 * ROUNDING
    assert (found.value == known.truth(target)).all()


def test_without_flint_large_matrices_have_no_certified_truth(monkeypatch):
    monkeypatch.setattr(balls, "AVAILABLE", False)
    with pytest.raises(OracleUnavailable, match=r"order 13 needs python-flint; install ndbench\[certified\]"):
        truth(np.eye(13), Exact(), precision="certified")


@pytest.mark.parametrize("precision", ["float64", "certified"])
def test_float32_matrices_are_taken_as_they_are(precision):
    single = planted(4, 1e2, 0).astype(np.float32)
    found = truth(single, Exact(), precision=precision)
    assert found.value.dtype == np.float64
    assert (found.value == truth(single.astype(np.float64), Exact(), precision=precision).value).all()


def test_eigenvalues_ascend():
    np.testing.assert_allclose(truth(np.diag([4.0, 1.0, 9.0]), Exact()).eigenvalues, [1.0, 4.0, 9.0], rtol=1e-15)


@pytest.mark.parametrize("precision", ["float64", "certified"])
def test_polynomial_maps_exist_at_singular_matrices(precision):
    # lambda / c = 1 and 0: z is 1 and (3/2)^2 after two steps, c = 2
    want = (np.ones((2, 2)) / 2 + 2.25 * np.array([[0.5, -0.5], [-0.5, 0.5]])) / np.sqrt(2)
    found = truth(np.ones((2, 2)), Steps("newton_schulz", 2), precision=precision)
    np.testing.assert_allclose(found.value, want, rtol=1e-14)


@pytest.mark.parametrize(
    ("A", "message"),
    [
        (np.ones((2, 3)), "one square matrix"),
        (np.ones((2, 2, 2)), "one square matrix"),
        (np.empty((0, 0)), "one square matrix"),
        (np.array([[1.0, np.nan], [np.nan, 1.0]]), "finite; 2 entries are not"),
        (np.array([[1.0, 0.5], [0.25, 1.0]]), "exactly symmetric"),
        (np.diag([1.0, -1.0]), "positive definite"),
    ],
)
def test_unfit_matrices_are_refused(A, message):
    with pytest.raises(ValueError, match=message):
        truth(A, Exact())


def test_unknown_precision_is_refused():
    with pytest.raises(ValueError, match='must be "float64" or "certified"'):
        truth(np.eye(2), Exact(), precision="exact")


@needs_flint
@pytest.mark.parametrize("target", [None, Steps("newton_schulz", 5)], ids=str)
def test_oracle_errors(target):
    rows = oracle_errors(target, n=8)
    assert len(rows) == 12
    for row in rows:
        if row.oracle == "LAPACK eigh, float64":
            assert 0 < row.error <= 50 * ROUNDING * max(1, row.condition / 2)
        else:
            assert row.error < 2.0**-64
