"""Error rates of the comparison, and comparisons that have worse ones."""

import statistics
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy import stats

from ndbench.timing import Outcome, Samples, compare, rates
from ndbench.timing.rates import false_alarms, main, real, synthetic
from ndbench.timing.synthetic import NOISES

KINDS = [(noise, together) for noise in NOISES for together in ((True,) if noise.shared else (True, False))]
every_kind = pytest.mark.parametrize(
    ("noise", "together"), KINDS, ids=[f"{noise.name}-{'paired' if together else 'apart'}" for noise, together in KINDS]
)


def detected(counts):
    return counts[Outcome.SLOWER] / counts.total()


@every_kind
def test_equals_are_called_different_in_less_than_2_of_100_pairs(noise, together):
    for samples in (15, 30, noise.samples):
        assert false_alarms(synthetic(replace(noise, samples=samples), 1.0, together=together)) < 0.02


@every_kind
def test_a_slowdown_by_a_tenth_is_detected(noise, together):
    # the correlation 1/2 triples the variance of a mean
    assert noise.samples == (90 if noise.name == "correlated" else 30)
    assert detected(synthetic(noise, 1.1, together=together)) >= 0.95


@pytest.mark.parametrize("noise", NOISES[:2], ids=lambda noise: noise.name)
def test_equals_are_mostly_called_the_same(noise):
    counts = synthetic(noise, 1.0)
    assert counts[Outcome.SAME] / counts.total() > 0.9


def judged(difference):
    """A comparison that knows no doubt."""

    def by(base, head):
        ratio = difference(base.seconds, head.seconds)
        verdict = Outcome.SLOWER if ratio > 1 else Outcome.FASTER if ratio < 1 else Outcome.SAME
        return replace(compare(base, head), verdict=verdict)

    return by


def by_means(base, head):
    return statistics.fmean(head) / statistics.fmean(base)


def by_minima(base, head):
    return min(head) / min(base)


def with_a_tolerance(base, head):
    ratio = by_means(base, head)
    return ratio if abs(ratio - 1) > 0.05 else 1.0


def always_slower(base, head):
    return 2.0


def by_the_t_test(base, head):
    """Welch's interval of means: outliers make it too wide to see anything."""
    p = stats.ttest_ind(base, head, equal_var=False).pvalue
    return by_means(base, head) if p < 0.002 else 1.0


def outliers_dropped_unseen(base, head):
    """Three standard errors of what is left after the five smallest and largest were thrown away."""
    kept = [np.sort(x)[5:-5] for x in (base, head)]
    error = np.sqrt(sum(np.var(x) / len(x) for x in kept))
    ratio = np.mean(kept[1]) / np.mean(kept[0])
    return ratio if abs(np.mean(kept[1]) - np.mean(kept[0])) > 3 * error else 1.0


def kind(name):
    return next(noise for noise in NOISES if noise.name == name)


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        (by_means, "normal"),
        (by_minima, "normal"),
        (always_slower, "normal"),
        (with_a_tolerance, "outliers"),
        (outliers_dropped_unseen, "normal"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_comparison_has_false_alarms(wrong, name):
    assert false_alarms(synthetic(kind(name), 1.0, by=judged(wrong))) >= 0.02


def test_the_t_test_misses_slowdowns_among_outliers():
    assert detected(synthetic(kind("outliers"), 1.1, by=judged(by_the_t_test))) < 0.95


def test_without_the_correlation_time_correlated_equals_would_be_called_different(monkeypatch):
    monkeypatch.setattr("ndbench.timing.comparison.correlation_time", lambda *_, **__: 1.0)
    thirty = replace(kind("correlated"), samples=30)
    assert false_alarms(synthetic(thirty, 1.0, cases=400, together=False)) >= 0.02


def test_more_work_is_slower_and_the_same_is_not(monkeypatch):
    now = [0.0]
    rng = np.random.default_rng(0)

    def work():
        now[0] += 1 + 0.03 * rng.standard_normal()

    def timed(functions, device, rounds):
        found = {name: [] for name in functions}
        for _ in range(rounds):
            for name, function in functions.items():
                before = now[0]
                function()
                found[name].append(now[0] - before)
        return {name: Samples(tuple(seconds), rounds="shared") for name, seconds in found.items()}

    monkeypatch.setattr(rates, "interleaved", timed)
    assert real(work, 20, "cpu")[Outcome.SAME] == 20
    assert real(work, 20, "cpu", repeats=11)[Outcome.SLOWER] == 20


def test_the_command_prints_every_kind(capsys, monkeypatch):
    equals = synthetic(NOISES[0], 1.0, 2)
    monkeypatch.setattr(rates, "real", lambda work, pairs, device, repeats=10: synthetic(NOISES[0], repeats / 10, 2))
    monkeypatch.setattr(rates, "one_after_the_other", lambda *_: equals)
    monkeypatch.setattr(rates, "beside_a_neighbour", lambda *_: equals)
    assert main(["--pairs", "20"]) == 0
    printed = capsys.readouterr().out
    assert all(noise.name in printed for noise in NOISES)
    assert "| real, copies of 1.2 MB | 1.00 | 2 | 0.0% |" in printed


def test_the_command_fails_if_the_rates_are_too_high(monkeypatch, capsys):
    monkeypatch.setattr(rates, "synthetic", lambda noise, ratio, cases, together: rates.Counter(slower=1))
    monkeypatch.setattr(rates, "works", lambda device: {})
    monkeypatch.setattr(rates, "beside_a_neighbour", lambda *_: rates.Counter(same=1))
    assert main(["--pairs", "1"]) == 1
    assert "| normal, 30 samples, apart | 1.00 | 1 | 0.0% | 0.0% | 100.0% | 0.0% |" in capsys.readouterr().out


def test_missed_slowdowns_fail_the_command():
    some = rates.Counter(slower=90, undecided=10)
    assert rates._failed("normal, 30 samples, apart", "1.10", some)
    assert rates._failed("correlated, 90 samples, apart", "1.10", some)
    assert not rates._failed("real, products", "1.10", some)


def test_rows_that_are_wrong_on_purpose_do_not_fail_the_command():
    alarms = rates.Counter(slower=1)
    assert rates._failed("real, products", "1.00", alarms)
    assert not rates._failed("wrong: in a fixed order", "1.00", alarms)


def test_real_calls_are_timed():
    assert rates.one_after_the_other(lambda: sum(range(100)), 2, "cpu", rounds=2).total() == 2
    found = rates.beside_a_neighbour(2, partial(rates.in_a_fixed_order, rounds=2))
    assert found == {Outcome.UNDECIDED: 2}


@pytest.mark.parametrize("pairs", ["0", "-1"])
def test_wrong_usage(pairs, capsys):
    with pytest.raises(SystemExit) as raised:
        main(["--pairs", pairs])
    assert raised.value.code == 2
    assert f"--pairs must be at least 1; got {pairs}" in capsys.readouterr().err
