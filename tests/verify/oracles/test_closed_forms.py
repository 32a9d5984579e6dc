from fractions import Fraction

import numpy as np
import pytest

from ndbench.targets import Exact
from ndbench.verify.oracles.closed_forms import diagonal, hadamard, minij, scaled_identity, squared_pascal, two_by_two


def exact_product(*factors):
    """Multiply matrices of float64 without rounding."""
    product = np.eye(len(factors[0]), dtype=object)
    for factor in factors:
        product = product @ np.frompyfunc(Fraction, 1, 1)(factor)
    return product


@pytest.mark.parametrize(
    "known",
    [
        hadamard([0, 0, 1, 1]),
        hadamard([-3, 5, 5, 5, 0, 0, 1, -3]),
        hadamard([0, 20]),
        squared_pascal(5),
        squared_pascal(12),
    ],
    ids=lambda known: f"{known.name}-{len(known.A)}",
)
def test_exact_forms_satisfy_x_a_x_without_rounding(known):
    X = known.inverse_sqrt
    assert (exact_product(X, known.A, X) == np.eye(len(X))).all()
    assert (X == X.T).all()


@pytest.mark.parametrize(
    "known",
    [scaled_identity(4, 9.0), diagonal([1e-8, 2.0, 7.0]), minij(7), two_by_two(2.0, -1.5, 3.0)],
    ids=lambda k: k.name,
)
def test_rounded_forms_satisfy_x_a_x(known):
    X = known.inverse_sqrt
    np.testing.assert_allclose(X @ known.A @ X, np.eye(len(X)), rtol=0, atol=1e-14 * len(X))
    assert np.linalg.eigvalsh(X)[0] > 0


def test_matrix_is_the_one_its_spectrum_says():
    for known in (hadamard([0, 20, 20, 3]), minij(6), diagonal([3.0, 1.0])):
        W, f = known.W, known.eigenvalues
        A = (W * (f / (W * W).sum(axis=0))) @ W.T
        np.testing.assert_array_almost_equal_nulp(A.astype(float), known.A, nulp=4)


def test_two_by_two_is_accurate_where_eigh_is_not():
    # det = 2^-40 exactly, condition 4.4e12
    known = two_by_two(1.0, 1.0, 1.0 + 2.0**-40)
    d, s = 2.0**-20, np.sqrt(2 + 2.0**-40 + 2.0**-19)
    np.testing.assert_allclose(known.inverse_sqrt[0], np.array([1 + 2.0**-40 + d, -1.0]) / (s * d), rtol=1e-15)


def test_truth_of_the_identity_is_the_identity():
    assert (scaled_identity(3, 4.0).truth(Exact()) == np.eye(3) / 2).all()


@pytest.mark.parametrize(
    "build",
    [lambda: hadamard([0, 26]), lambda: squared_pascal(13), lambda: squared_pascal(0)],
    ids=["hadamard", "13", "0"],
)
def test_what_is_not_exact_is_refused(build):
    with pytest.raises(ValueError, match=r"exact|1 to 12"):
        build()
