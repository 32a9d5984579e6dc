"""The table of how tight the budgets are."""

import pytest

from ndbench.verify import calibration
from ndbench.verify.check import Check
from ndbench.verify.suite import CHECKS
from ndbench.verify.verdict import Verdict

ORDER = next(check for check in CHECKS if check.name == "order")


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def verdict(measured, budget):
    return Verdict("inverse-sqrt", "order", "spectral", "identity-n1", measured, budget)


def test_random_problems_are_drawn_anew_and_others_are_not():
    names = [problem.name for problem in calibration.reseeded(ORDER, 3).problems["quick"]]
    assert [name[-2:] for name in names] == ["s0", "s1", "s2"]
    fixed = Check(
        "one",
        "inverse-sqrt",
        ORDER.judge,
        {"quick": [p for p in CHECKS[0].problems["quick"] if p.name.startswith("identity")]},
    )
    assert len(calibration.reseeded(fixed, 3).problems["quick"]) == len(fixed.problems["quick"]) > 0


def test_a_row_has_the_worst_ratio_and_the_failures():
    found = cells(calibration.row(ORDER, [verdict(0.5, 1), verdict(2, 1), verdict(0.1, 1)]))
    assert found == ["inverse-sqrt", "order", "3", "1", "2", "spectral", "identity-n1"]


@pytest.mark.parametrize(("measured", "budget", "shown"), [(0, 0, "bit by bit"), (0.01, 1, "0.01 (loose)")])
def test_a_loose_budget_is_called_so(measured, budget, shown):
    assert cells(calibration.row(ORDER, [verdict(measured, budget)]))[4] == shown


def test_the_command_prints_both_tables(capsys):
    assert calibration.main(["--seeds", "1", "--check", "order"]) == 0
    text = capsys.readouterr().out
    assert "--seeds 1 >" in text
    assert "| inverse-sqrt | order | 5 | 0 |" in text
    assert "| exact | flint acb_mat.eig | 1e+12 |" in text
    assert "| 5 steps of newton_schulz | mpmath eigsy, 50 digits | 1e+06 |" in text
    assert "| two passes in float64 |" in text


def test_the_oracles_of_the_covariance_agree():
    found = calibration.covariance_oracle_errors()
    assert found[0][:2] == ("two passes in longdouble", "exact integers")
    assert all(difference < 1e-14 for _, _, difference in found)
