"""Growth beside a law, and fitted exponents."""

import math

import pytest

from ndbench.verify.scaling.exponents import FLOPS, MEMORY, PRODUCTS, fitted, growth, last, shown

SIZES = [1.0, 2.0, 4.0, 8.0]


@pytest.mark.parametrize("p", [0.0, 1.0, 2.5, 4.0])
def test_a_hidden_power_grows_as_that_power(p):
    found = [7.0 * x ** (2 + p) for x in SIZES]
    assert growth(found, [x**2 for x in SIZES]) == pytest.approx(8**p)
    assert fitted(SIZES, found) == pytest.approx(2 + p)
    assert last(SIZES, found) == pytest.approx(2 + p)


def test_growth_counts_from_any_size_to_a_larger_one():
    assert growth([4.0, 1.0, 3.0, 2.0], [1.0] * 4) == 3.0
    assert growth([4.0, 3.0, 2.0, 1.0], [1.0] * 4) == 1.0


def test_growth_of_nan_is_nan():
    assert math.isnan(growth([1.0, math.nan], [1.0, 1.0]))


def test_the_last_exponent_is_that_of_the_last_two():
    assert last([1.0, 2.0, 4.0], [100.0, 1.0, 8.0]) == pytest.approx(3)


@pytest.mark.parametrize(
    ("power", "counted", "said"),
    [(2, PRODUCTS, "kept"), (3, PRODUCTS, "not kept"), (2, FLOPS, ""), (4, FLOPS, ""), (2, MEMORY, "")],
)
def test_the_law_of_the_paper_is_asked_of_the_interior(power, counted, said):
    assert shown("k", SIZES, [x**power for x in SIZES], 4, counted)["paper's law"] == said


def test_lags_keep_the_law_of_the_paper():
    kernels = [float(k) for k in range(1, 40)]
    lags = [((2 * k - 1) ** 2 + 1) / 2 for k in kernels]
    assert shown("k", kernels, lags, 2, PRODUCTS)["paper's law"] == "kept"


def test_evidence_tells_every_count():
    evidence = shown("side", [64.0, 256.0], [1234567890.0, 4e9], 1, FLOPS)
    assert evidence["sizes"] == "64 256"
    assert evidence["counts"] == "1234567890 4000000000"
    assert evidence["claimed exponent"] == 1
