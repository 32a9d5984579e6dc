"""Times are reported with their exponent, and judged where that is asked for."""

import pytest
import torch

from ndbench.catalog import Implementation
from ndbench.laws import PatchLaw, RootLaw
from ndbench.timing import Samples
from ndbench.verify.scaling import times
from ndbench.verify.scaling.problems import OrderScaling, PatchScaling
from ndbench.verify.scaling.suite import TIMES
from ndbench.verify.verdict import NotRun, Status

ORDERS = OrderScaling((4, 8, 12, 16, 24, 32))
KERNELS = PatchScaling("k", tuple(range(1, 9)), side=64)
ROOT = Implementation("root", "inverse-sqrt", torch.clone, law=RootLaw())
LAGS = Implementation("lags", "covariance", lambda x, k, **how: (x, x), law=PatchLaw(2, 0))


@pytest.fixture
def clock(monkeypatch):
    """Times that follow a law t(size), whatever runs, with noise of a hundredth."""

    def set_to(law):
        def taken(functions, device, rounds, enough):
            return {name: Samples(tuple(law(int(name)) * (1 + i / 1000) for i in range(8))) for name in functions}

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


def test_a_covariance_is_held_to_its_law_with_lower_orders(clock):
    clock(lambda k: 1e-4 + 1e-5 * k**2.2)
    assert 2 < times.claim(LAGS, KERNELS) < 3
    assert times.judged(LAGS, KERNELS).measured < 0.5
    clock(lambda k: 1e-4 + 1e-5 * k**4.0)
    assert times.judged(LAGS, KERNELS).measured > 0.5


def test_calls_are_really_timed():
    called = []
    root = Implementation("root", "inverse-sqrt", lambda A: called.append(A.shape[-1]) or A @ A, law=RootLaw())
    found = times.measured(root, ORDERS)
    assert set(called) == set(ORDERS.values)
    assert len(str(found["counts"]).split()) == len(ORDERS.values)


def test_they_are_no_part_of_a_run_that_does_not_ask():
    assert TIMES["off"] == ()
    assert {c.name for c in TIMES["report"]} == {c.name for c in TIMES["gate"]} == {"scaling-times"}
