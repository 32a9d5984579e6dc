"""The table of exponents, and what it says of the paper's law."""

from io import StringIO

import pytest
from rich.console import Console

from ndbench.verify.report.console import show_laws
from ndbench.verify.report.laws import table
from ndbench.verify.scaling.exponents import FLOPS, MEMORY, PRODUCTS, SAMPLED, SECONDS, shown
from ndbench.verify.verdict import Verdict

SIZES = [1.0, 2.0, 4.0]


def verdict(implementation, evidence):
    return Verdict("covariance", "scaling-flops", implementation, "problem", 1.0, 2.0, evidence=evidence)


def power(p, counted, claimed=4, variable="k"):
    return shown(variable, SIZES, [x**p for x in SIZES], claimed, counted)


PAIRS = [verdict("pairs", power(4, PRODUCTS)), verdict("pairs", power(2, SAMPLED, 2))]
LAGS = [verdict("lags", power(2, PRODUCTS, 2)), verdict("lags", power(2, SAMPLED, 2))]


def test_nothing_is_shown_without_evidence():
    assert table([verdict("pairs", {"rows": 3.0})]) == [["implementation"]]


def test_a_line_for_each_implementation_with_exponents_beside_the_claims():
    header, pairs, lags = table([*PAIRS, *LAGS])
    assert header[1:3] == ["flops per pixel\nin k", "same, at stride k,\nin k"]
    assert pairs == ["pairs", "4.00 / 4", "2.00 / 2", "not kept: k^4", "kept"]
    assert lags == ["lags", "2.00 / 2", "2.00 / 2", "kept", "kept"]


def test_the_leading_power_is_that_of_the_largest_sizes():
    kernels = [float(k) for k in range(1, 10)]
    pairs = shown("k", kernels, [k**2 * (k**2 + 1) / 2 for k in kernels], 4, PRODUCTS)
    assert table([verdict("pairs", pairs)])[1][-1] == "not kept: k^4 (fitted k^3.7)"


def test_what_was_not_counted_has_no_exponent():
    header, pairs, lags = table([*PAIRS, LAGS[0], verdict("lags", power(0, MEMORY, 0))])
    assert header[3] == "memory\nin k"
    assert pairs[3] == "·"
    assert lags[2:] == ["·", "0.00 / 0", "kept", "·"]


def test_a_law_of_padded_tiles_is_kept_from_some_size():
    padded = [verdict("lags", {"kept from": "G = 16"}), verdict("pairs", {"kept from": "G = 8"})]
    _, pairs, lags = table([*PAIRS, *LAGS, *padded])
    assert pairs[-2:] == ["not kept: k^4", "kept from G = 8"]
    assert lags[-2:] == ["kept from G = 16"] * 2


def test_a_hidden_factor_in_any_size_breaks_the_law():
    hidden = verdict("lags", power(2, FLOPS, 1, variable="side"))
    assert table([*LAGS, hidden])[1][-2:] == ["not kept: H W^2", "not kept: H W^2"]


def test_times_are_shown_with_their_interval():
    seconds = {"variable": "n", "counted": SECONDS, "exponent": 2.9, "low": 2.8, "high": 3.05}
    assert table([verdict("root", seconds)]) == [
        ["implementation", "time\nin n", "paper's law\n"],
        ["root", "2.90 [2.80, 3.05]", "·"],
    ]


def test_orders_have_one_law():
    header, line = table([verdict("root", power(3, FLOPS, 3, variable="n"))])
    assert header[-1] == "paper's law\n"
    assert line == ["root", "3.00 / 3", "kept"]


def test_the_largest_family_is_shown():
    more = shown("k", [1.0, 9.0], [1.0, 9**3.0], 4, PRODUCTS)
    assert table([*PAIRS, verdict("pairs", more)])[1][1] == "3.00 / 4"


@pytest.mark.parametrize("width", [100, 120])
def test_no_figure_is_cut_at_ordinary_widths(width):
    times = {"counted": SECONDS, "exponent": 2.9, "low": 2.8, "high": 3.05}
    found = [*PAIRS, *(verdict("pairs", power(2, MEMORY, 0, v)) for v in "kGC"), verdict("pairs", power(4, FLOPS))]
    found += [verdict("pairs", {"variable": v, **times}) for v in ("k", "G", "C", "side")]
    console = Console(file=StringIO(), width=width)
    show_laws(console, "covariance", found)
    assert "…" not in console.file.getvalue()
    assert all(text in console.file.getvalue() for text in ("2.90 [2.80,", "3.05]", "4.00 / 4", "not kept: k^4"))
