"""The table command, on one seed and the quickest rungs."""

from dataclasses import replace

import pytest

from ndbench.verify.gradients import shares, tables
from ndbench.verify.gradients.layer import truth


def test_the_tables_are_markdown(capsys, monkeypatch):
    monkeypatch.setattr(tables, "shares", lambda seeds: iter([shares.Share("d", "batch", "8", 0.25, 1.5)]))
    tables.main(["--seeds", "1", "--share-seeds", "2", "--check", "gradient-lyapunov"])
    printed = capsys.readouterr().out
    assert "| inverse-sqrt | gradient-lyapunov |" in printed
    assert "gradient-taylor" not in printed
    assert "| d | batch | 8 | 0.25 | 1.50 |" in printed
    assert "means over 2 seeds" in printed


def test_seeds_must_be_positive():
    with pytest.raises(SystemExit):
        tables.main(["--seeds", "0"])


def test_every_factor_is_varied_about_the_usual_problem():
    found = list(shares._varied(shares.USUAL))
    assert {factor for factor, _, _ in found} == {"kernel", "block", "steps T", "batch"}
    for factor in ("kernel", "block", "steps T", "batch"):
        assert shares.USUAL in [problem for name, _, problem in found if name == factor]


@pytest.mark.parametrize("aligned", [False, True])
def test_a_share_is_that_of_the_oracle(aligned):
    images = replace(shares.USUAL.images, N=2, C=4, block=4, H=8, W=8)
    problem = replace(shares.USUAL, images=images, aligned=aligned)
    assert shares.share(problem) == pytest.approx(truth(problem).gradient.share, rel=1e-12)
