import numpy as np
import pytest

from ndbench.targets import ITERATIONS, Exact, Steps
from ndbench.verify.oracles import OracleUnavailable, residual
from ndbench.verify.oracles.closed_forms import diagonal, hadamard, minij, scaled_identity, squared_pascal
from ndbench.verify.oracles.eigenvalue_enclosure import enclose_by_eigenvalues
from ndbench.verify.oracles.errors import planted
from ndbench.verify.oracles.recurrence_enclosure import enclose_recurrence
from ndbench.verify.oracles.residual import certify, enclose_inverse_sqrt, positive_definite

flint = pytest.importorskip("flint")

from ndbench.verify.oracles.balls import Enclosure, ball_matrix, frobenius, norm_bound, precision  # noqa: E402

STEPS = [
    *(Steps(name, 5) for name in ITERATIONS),
    Steps("denman_beavers", 6, scaled_steps=4),
    Steps("newton_schulz", 25),
]
KNOWN = [minij(9), hadamard([0, 2, 2, 9]), diagonal([1e-6, 1.0, 1.0, 5.0]), scaled_identity(3, 7.0)]
SIMPLE = [minij(9), hadamard([0, 2, 5, 9]), diagonal([1e-6, 1.0, 3.0])]
BOUNDED = [*KNOWN, squared_pascal(4), squared_pascal(8), hadamard([0, 20] * 8)]


def holds(enclosure, X):
    """Whether the enclosure holds X, known to 60 digits or exactly."""
    with precision(256):
        slack = frobenius(enclosure.center) * flint.arb("1e-55")
        return bool(norm_bound(enclosure.center - ball_matrix(X)) <= enclosure.radius + slack)


def exact_root(known):
    return known.multiprecision(Exact()) if hasattr(known, "multiprecision") else known.inverse_sqrt


@pytest.mark.parametrize("known", BOUNDED, ids=lambda known: f"{known.name}-{len(known.A)}")
def test_residual_encloses_the_closed_form(known):
    enclosure = enclose_inverse_sqrt(known.A)
    assert holds(enclosure, exact_root(known))
    assert enclosure.relative_radius() < 1e-20


@pytest.mark.parametrize("target", [Exact(), *STEPS], ids=str)
@pytest.mark.parametrize("known", SIMPLE, ids=lambda known: known.name)
def test_eigenvalues_enclose_the_closed_form(known, target):
    enclosure = enclose_by_eigenvalues(known.A, target)
    assert holds(enclosure, known.multiprecision(target))
    assert enclosure.relative_radius() < 1e-19


@pytest.mark.parametrize("target", STEPS, ids=str)
@pytest.mark.parametrize("known", KNOWN, ids=lambda known: known.name)
def test_recurrence_encloses_the_closed_form(known, target):
    enclosure = enclose_recurrence(known.A, target)
    assert holds(enclosure, known.multiprecision(target))
    assert enclosure.relative_radius() < 1e-19


@pytest.mark.parametrize("condition", [1e2, 1e6, 1e12])
@pytest.mark.parametrize("target", [Exact(), *STEPS], ids=str)
def test_two_routes_overlap(target, condition):
    A = planted(16, condition, seed=1)
    other = enclose_inverse_sqrt(A) if isinstance(target, Exact) else enclose_recurrence(A, target)
    by_eigenvalues = enclose_by_eigenvalues(A, target)
    with precision(512):
        distance = norm_bound(other.center - by_eigenvalues.center)
        assert distance <= other.radius + by_eigenvalues.radius
        assert distance < 1e-18 * frobenius(other.center)


@pytest.mark.parametrize("oracle", [enclose_by_eigenvalues, enclose_recurrence])
def test_swapped_eigenvalues_are_outside(oracle):
    # the same eigenvectors and the same multiset of eigenvalues, in another order
    right, wrong = hadamard([0, 1, 2, 3]), hadamard([1, 0, 2, 3])
    target = Steps("newton_schulz", 5)
    assert holds(oracle(right.A, target), right.multiprecision(target))
    assert not holds(oracle(right.A, target), wrong.multiprecision(target))


def test_another_number_of_steps_is_outside():
    known = minij(5)
    enclosure = enclose_recurrence(known.A, Steps("newton_schulz", 5))
    assert not holds(enclosure, known.multiprecision(Steps("newton_schulz", 6)))


@pytest.mark.parametrize("A", [np.eye(4), hadamard([0, 0, 3, 5]).A], ids=["identity", "one pair"])
def test_repeated_eigenvalues_are_not_separated(A):
    with pytest.raises(OracleUnavailable, match="the spectrum repeats"):
        enclose_by_eigenvalues(A, Exact())


def test_singular_matrix_has_no_denman_beavers():
    with pytest.raises(OracleUnavailable, match="denman_beavers in ball arithmetic"):
        enclose_recurrence(np.ones((2, 2)), Steps("denman_beavers", 3))


@pytest.mark.parametrize("A", [np.diag([1.0, -1.0]), np.diag([1.0, 0.0])], ids=["indefinite", "singular"])
def test_residual_refuses_what_is_not_positive_definite(A):
    with pytest.raises(OracleUnavailable, match="positive definite"):
        enclose_inverse_sqrt(A)


def moved(X, size):
    """X plus a symmetric perturbation of a relative size."""
    E = flint.arb_mat(X.nrows(), X.ncols(), [0] * X.nrows() ** 2)
    E[0, 1] = E[1, 0] = frobenius(X).mid() * flint.arb(size)
    return ((X + X.transpose()) / 2 + E).mid()


@pytest.mark.parametrize("size", ["1e-60", "1e-40", "1e-26"])
def test_bound_grows_with_a_wrong_center_and_still_holds(size):
    known = minij(8)
    with precision(256):
        A = ball_matrix(known.A)
        exact = ball_matrix(known.multiprecision(Exact()))
        enclosure = certify(moved(exact, size), A)
        assert holds(enclosure, known.multiprecision(Exact()))
        # a bound that does not see the error would be smaller than it; one with kappa in it much larger
        assert 0.5 < enclosure.relative_radius() / float(size) < 1e2


def test_wrong_center_is_refused():
    known = minij(8)
    with precision(256), pytest.raises(OracleUnavailable, match=r"residual \|\|I - X A X\|\|_F must be at most"):
        certify(moved(ball_matrix(known.multiprecision(Exact())), "1e-10"), ball_matrix(known.A))


def test_another_square_root_is_refused():
    # X A X = I holds exactly for X = H diag(1, -1/2) H / 2 too, which is not the principal root
    A = hadamard([0, 1]).A
    other = ball_matrix(np.array([[0.25, 0.75], [0.75, 0.25]]))
    with precision(256), pytest.raises(OracleUnavailable, match="positive definite"):
        certify(other, ball_matrix(A))


def test_positive_definite_needs_symmetry_and_exact_entries():
    symmetric = ball_matrix(np.array([[2.0, 1.0], [1.0, 2.0]]))
    assert positive_definite(symmetric)
    assert not positive_definite(ball_matrix(np.array([[2.0, 1.0], [0.5, 2.0]])))
    assert not positive_definite(ball_matrix(np.ones((2, 2))))
    assert not positive_definite(symmetric * flint.arb(1, 1e-3))


def test_refinement_beats_the_rounding_of_its_start():
    A = planted(24, 1e12, seed=5)
    eigenvalues, V = np.linalg.eigh(A)
    with precision(residual.BITS):
        start = ball_matrix((V / np.sqrt(eigenvalues)) @ V.T)
        before = float(norm_bound(1 - start * ball_matrix(A) * start))
    assert before > 1e-8
    assert enclose_inverse_sqrt(A).relative_radius() < 1e-20


def test_enclosure_of_balls_contains_its_matrix():
    with precision(128):
        M = ball_matrix(np.array([[3.0, 1.0], [1.0, 3.0]])) * flint.arb(1, 1e-9)
        enclosure = Enclosure.of_balls(M, "by hand")
        assert enclosure.contains(enclosure.center)
        assert not enclosure.contains(ball_matrix(np.array([[3.0, 1.0], [1.0, 3.1]])))
        assert enclosure.relative_radius() == pytest.approx(1e-9, rel=1e-3)


def test_nothing_is_known_of_a_ball_around_zero():
    with precision(128):
        enclosure = Enclosure.of_balls(ball_matrix(np.eye(2)) * flint.arb(0, 1), "by hand")
        assert enclosure.relative_radius() == float("inf")
