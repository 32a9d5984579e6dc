"""Times are reported with their exponent, and judged where that is asked for."""

from pathlib import Path

import pytest
import torch

from ndbench.catalog import Implementation
from ndbench.laws import RootLaw
from ndbench.timing import Samples, interleaved
from ndbench.verify.scaling import times
from ndbench.verify.scaling.problems import TIMES_OF_PATCHES, TIMES_OF_ROOTS, OrderScaling, PatchScaling
from ndbench.verify.scaling.suite import TIMES
from ndbench.verify.verdict import NotRun, Status
from tests.verify.scaling.sabotaged import IM2COL, LAGGED

ORDERS = OrderScaling((4, 8, 12, 16, 24, 32))
ROOT = Implementation("root", "inverse-sqrt", torch.clone, law=RootLaw())


@pytest.fixture
def clock(monkeypatch):
    """Times that follow a law t(size), whatever runs, with noise of a hundredth that has no trend."""
    noise = [1 + 5 * i % 8 / 1000 for i in range(8)]

    def set_to(*laws):
        def taken(functions, device, rounds, enough):
            found = {}
            for name in functions:
                size, which = map(int, name.split())
                found[name] = Samples(tuple(laws[which](size) * factor for factor in noise))
            return found

        monkeypatch.setattr(times, "interleaved", taken)

    return set_to


@pytest.mark.parametrize(("power", "passed"), [(2.0, True), (3.0, True), (3.4, True), (4.0, False), (5.0, False)])
def test_a_hidden_factor_is_caught_where_times_gate(power, passed, clock):
    clock(lambda n: 1e-4 + 1e-8 * n**power)
    found = times.judged(ROOT, ORDERS)
    assert found.evidence["low"] <= found.evidence["exponent"] <= found.evidence["high"]
    assert found.evidence["exponent"] == pytest.approx(power, abs=0.1)
    assert (found.measured <= found.budget) == passed


def test_times_are_not_judged_unless_asked(clock):
    clock(lambda n: 1e-8 * n**5.0)
    with pytest.raises(NotRun, match="judged only with --gate-times") as raised:
        times.reported(ROOT, ORDERS)
    assert raised.value.evidence["exponent"] == pytest.approx(5, abs=0.1)


def test_the_evidence_reaches_the_verdict(clock):
    clock(lambda n: 1e-8 * n**3.0)
    (check,) = (c for c in TIMES["report"] if c.operation == "inverse-sqrt")
    verdict = check(ROOT, ORDERS)
    assert (verdict.status, verdict.evidence["counted"]) == (Status.NOT_RUN, "seconds")
    (gate,) = (c for c in TIMES["gate"] if c.operation == "inverse-sqrt")
    assert gate(ROOT, ORDERS).status == Status.PASSED


PAGE = Path(__file__).parents[3] / "docs" / "scaling.md"
BASES = {"im2col": IM2COL, "shifted": IM2COL, "windows": IM2COL, "lagged": LAGGED}


def figures():
    """The times of the page: {(implementation, family): lower quartiles}."""
    families = {f.name: f for f in (*TIMES_OF_PATCHES["full"], *TIMES_OF_ROOTS["full"])}
    lines = PAGE.read_text().partition("## Times")[2].splitlines()
    rows = [line.strip("| ").split(" | ") for line in lines if " | scaling-" in line]
    return {(name, families[family]): [float(t) for t in seconds.split()] for name, family, _, seconds in rows}


FIGURES = figures()
COVARIANCES = [key for key in FIGURES if isinstance(key[1], PatchScaling)]
ROOTS = [key for key in FIGURES if isinstance(key[1], OrderScaling)]


def measured_by(key, factor, clock):
    """The gate's verdict on times of the page, multiplied by a factor of each size."""
    name, family = key
    implementation = BASES.get(name, ROOT)
    reference = FIGURES.get((times.REFERENCES[implementation.law.flops], family)) if name in BASES else None
    at = {value: i for i, value in enumerate(family.values)}
    own = FIGURES[key]
    laws = [lambda value: own[at[value]] * factor(family.sizes[at[value]])]
    clock(*laws, *([lambda value: reference[at[value]]] if reference else []))
    return times.judged(implementation, family)


def test_the_page_has_all_times():
    expected = {(name, family) for name in BASES for family in TIMES_OF_PATCHES["full"]}
    assert set(COVARIANCES) == expected
    assert {family for _, family in ROOTS} == set(TIMES_OF_ROOTS["full"])


@pytest.mark.parametrize("key", FIGURES, ids=lambda key: f"{key[0]}-{key[1].variable}")
def test_times_of_right_code_pass(key, clock):
    """Those measured on a real machine, where the lags' grow as k^5.6 and their flops as k^2.5."""
    found = measured_by(key, lambda size: 1.0, clock)
    assert found.measured <= found.budget


# numpy's products of the definition take a time that grows so slowly that one factor k or G brings it up to im2col's
CAUGHT = [key for key in COVARIANCES if key[0] != "windows"]


@pytest.mark.parametrize("key", CAUGHT, ids=lambda key: f"{key[0]}-{key[1].variable}")
def test_a_hidden_factor_in_the_times_of_right_code_is_caught(key, clock):
    found = measured_by(key, lambda size: size, clock)
    assert found.measured > found.budget


def test_a_hidden_order_in_the_times_of_a_root_is_caught(clock):
    key = next(key for key in ROOTS if key[0] == "newton_schulz.T5")
    found = measured_by(key, lambda n: n, clock)
    assert found.measured > found.budget


def test_flops_would_have_rejected_right_code():
    """What cost an honest algorithm its verdict before times were compared with times."""
    key = next(key for key in COVARIANCES if key[0] == "lagged" and key[1].variable == "k")
    assert times.fit(*map(times.upper_half, (key[1].sizes, FIGURES[key]))).p - times.claim(LAGGED, key[1]) > 0.5


def test_the_reference_is_timed_in_the_same_rounds(monkeypatch):
    family, asked = PatchScaling("k", (1, 2, 3, 4), C=2, block=2, side=8), []

    def taken(functions, *how):
        asked.append(list(functions))
        return interleaved(functions, *how)

    monkeypatch.setattr(times, "interleaved", taken)
    found = times.judged(IM2COL, family)
    assert asked == [[f"{k} {i}" for i in (0, 1) for k in family.values]]
    assert found.evidence["beside"] == "im2col"
    assert found.evidence["excess low"] <= found.evidence["excess"] <= found.evidence["excess high"]


def test_calls_are_really_timed():
    called = []
    root = Implementation("root", "inverse-sqrt", lambda A: called.append(A.shape[-1]) or A @ A, law=RootLaw())
    (found,) = times.timed(ORDERS, root)
    assert set(called) == set(ORDERS.values)
    assert len(found) == len(ORDERS.values)


def test_they_are_no_part_of_a_run_that_does_not_ask():
    assert TIMES["off"] == ()
    assert {c.name for c in TIMES["report"]} == {c.name for c in TIMES["gate"]} == {"scaling-times"}
