"""The table command, on one seed and the quickest rungs."""

from dataclasses import replace

import pytest

from ndbench.images import photograph
from ndbench.verify.gradients import shares, tables
from ndbench.verify.gradients.layer import truth


def test_the_tables_are_markdown(capsys, monkeypatch):
    spread = shares.Spread((0.25, 0.5, 1.5))
    row = shares.Share("d", "batch", "8", "G = y", spread, spread)
    monkeypatch.setattr(tables, "shares", lambda seeds: iter([row]))
    tables.main(["--seeds", "1", "--share-seeds", "2", "--check", "gradient-lyapunov"])
    printed = capsys.readouterr().out
    assert "| inverse-sqrt | gradient-lyapunov |" in printed
    assert "gradient-taylor" not in printed
    assert "| d | batch | 8 | G = y | 0.50 (0.25 to 1.50) | 0.50 (0.25 to 1.50) |" in printed
    assert "the median of 2 seeds" in printed


def test_seeds_must_be_positive():
    with pytest.raises(SystemExit):
        tables.main(["--seeds", "0"])


@pytest.mark.parametrize("usual", [shares.PIXELS, shares.ACTIVATIONS], ids=["pixels", "activations"])
def test_one_factor_is_varied_at_a_time(usual):
    factors = {"kernel", "steps T", "batch"} | ({"block of 64 channels"} if usual is shares.ACTIVATIONS else set())
    found = list(shares.varied(usual))
    assert {factor for factor, _, _ in found} == factors
    for factor in factors - {"block of 64 channels"}:
        assert usual in [problem for name, _, problem in found if name == factor]
    wide = {replace(p.images, block=None) for name, _, p in found if name.startswith("block")}
    assert len(wide) <= 1


def test_channels_keep_their_roles():
    # crops of an image with as many channels as are asked for, so that channel c is the same in all of them
    assert len(photograph("astronaut")) == shares.PIXELS.images.C
    assert all(p.images.C in (16, 64) for _, _, p in shares.varied(shares.ACTIVATIONS))


@pytest.mark.parametrize("aligned", [False, True])
def test_a_share_is_that_of_the_oracle(aligned):
    images = replace(shares.ACTIVATIONS.images, N=2, C=4, block=4, H=8, W=8)
    problem = replace(shares.ACTIVATIONS, images=images, aligned=aligned)
    assert shares.parts(problem).share == pytest.approx(truth(problem).gradient.share, rel=1e-12)


def test_without_a_term_nothing_turns():
    found = truth(shares.PIXELS).gradient
    assert replace(found, correction=0 * found.correction).cosine == pytest.approx(1)
    assert replace(found, correction=-2 * found.detached).cosine == pytest.approx(-1)
