"""Misses and false alarms on correlated samples, and that they are more without what prevents them."""

from functools import partial

import pytest

from ndbench.timing import comparison, coverage
from ndbench.timing.coverage import main
from ndbench.timing.synthetic import CORRELATED, Noise, opposed

BY_NAME = {noise.name: noise for noise in CORRELATED}
PAIRS = 400


@pytest.mark.parametrize("together", [True, False], ids=["paired", "apart"])
@pytest.mark.parametrize("name", ["successive 0.5", "successive 0.7", "successive 0.9"])
def test_correlated_equals_are_called_different_in_less_than_2_of_100_pairs(name, together):
    found = coverage.coverage(BY_NAME[name], PAIRS, together=together)
    assert found.alarms <= found.missed < 0.03
    assert found.alarms < 0.02


@pytest.mark.parametrize("samples", [15, 30])
@pytest.mark.parametrize("name", ["drifting, 0.0", "drifting, 0.7", "drifting, 0.8", "drifting, 0.9"])
def test_equals_that_drift_and_are_correlated_are_called_different_in_less_than_2_of_100_pairs(name, samples):
    assert coverage.coverage(BY_NAME[name], 1000, samples=samples).alarms < 0.02


def test_they_would_be_called_different_without_the_error_of_their_correlation(monkeypatch):
    monkeypatch.setattr(comparison, "ALONE", 0.0)
    assert coverage.coverage(BY_NAME["drifting, 0.9"], 1000, samples=15).alarms >= 0.02


def test_strongly_correlated_equals_would_be_called_different_if_few_could_decide(monkeypatch):
    monkeypatch.setattr(comparison, "EFFECTIVE", 0.1)
    assert coverage.coverage(BY_NAME["successive 0.9"], PAIRS).alarms >= 0.02


OPPOSED = Noise("opposed", partial(opposed, rho=-0.95), shared=True)


def test_opposed_samples_of_a_round_miss_no_more_than_they_may():
    assert coverage.coverage(OPPOSED, 1000).missed <= 0.005


def test_opposed_samples_would_miss_more_if_they_were_taken_for_independent(monkeypatch):
    monkeypatch.setattr(comparison, "correlation", lambda x, y: 0.0)
    assert coverage.coverage(OPPOSED, 1000).missed > 0.005


def test_the_command_prints_every_kind(capsys):
    assert main(["--pairs", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 2 * (6 * 2 + 6 + 2)
    assert lines[2].startswith("| successive 0.0 | 15 | same rounds | 0.00% | 0.00% |")
    assert lines[-1].startswith("| within rounds 0.5 | 30 | same rounds | 0.00% | 0.00% |")


def test_the_command_fails_if_there_are_too_many_false_alarms(monkeypatch, capsys):
    monkeypatch.setattr(coverage, "coverage", lambda *_, **__: coverage.Coverage(0.02, 0.02, 0, 0))
    assert main(["--pairs", "2"]) == 1
    assert "| 2.00% |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pairs", "0"], "--pairs must be at least 1; got 0"),
        (["--seed", "-1"], "--seed must not be negative; got -1"),
    ],
)
def test_wrong_usage(options, message, capsys):
    with pytest.raises(SystemExit) as raised:
        main(options)
    assert raised.value.code == 2
    assert message in capsys.readouterr().err
