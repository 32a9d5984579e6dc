"""Times are reported with their exponent, and judged where that is asked for."""

from dataclasses import replace

import pytest
import torch

from ndbench.catalog import Implementation
from ndbench.cost import covariance as cost
from ndbench.covariance import Patches
from ndbench.laws import PatchLaw, RootLaw
from ndbench.timing import Samples
from ndbench.verify.scaling import times
from ndbench.verify.scaling.problems import TIMES_OF_PATCHES, OrderScaling
from ndbench.verify.scaling.suite import TIMES
from ndbench.verify.verdict import NotRun, Status

ORDERS = OrderScaling((4, 8, 12, 16, 24, 32))
ROOT = Implementation("root", "inverse-sqrt", torch.clone, law=RootLaw())
LAGS = Implementation("lags", "covariance", lambda x, k, **how: (x, x), law=PatchLaw(2, 0))


@pytest.fixture
def clock(monkeypatch):
    """Times that follow a law t(size), whatever runs, with noise of a hundredth that has no trend."""
    noise = [1 + 5 * i % 8 / 1000 for i in range(8)]

    def set_to(law):
        def taken(functions, device, rounds, enough):
            return {name: Samples(tuple(law(int(name)) * factor for factor in noise)) for name in functions}

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


ALGORITHMS = {
    "im2col": (cost.im2col, PatchLaw(4, 2)),
    "buffered": (cost.buffered, PatchLaw(4, 2)),
    "shifted": (cost.shifted, PatchLaw(4, 0)),
    "lagged": (cost.lagged, PatchLaw(2, 0)),
}


@pytest.mark.parametrize("family", TIMES_OF_PATCHES["quick"], ids=lambda family: family.variable)
@pytest.mark.parametrize("name", ALGORITHMS)
def test_an_honest_algorithm_passes_and_a_hidden_factor_fails(name, family, clock):
    """Where a flop takes 1e-10 seconds and a call 1e-4."""
    model, law = ALGORITHMS[name]
    implementation = replace(LAGS, law=law)

    def flops(value):
        one = family.at(value)
        patches = Patches.of(one.kernel_size, padding=one.padding, block=one.block)
        return model((one.N, one.C, one.H, one.W), patches).flops

    clock(lambda value: 1e-4 + 1e-10 * flops(value))
    honest = times.judged(implementation, family)
    size = dict(zip(family.values, family.sizes, strict=True))
    clock(lambda value: 1e-4 + 1e-10 * flops(value) * size[value])
    hidden = times.judged(implementation, family)
    assert honest.measured == pytest.approx(0, abs=0.1)
    assert hidden.measured == pytest.approx(1, abs=0.1)
    assert honest.budget == hidden.budget == 0.5


def test_calls_are_really_timed():
    called = []
    root = Implementation("root", "inverse-sqrt", lambda A: called.append(A.shape[-1]) or A @ A, law=RootLaw())
    found = times.measured(root, ORDERS)
    assert set(called) == set(ORDERS.values)
    assert len(str(found["counts"]).split()) == len(ORDERS.values)


def test_they_are_no_part_of_a_run_that_does_not_ask():
    assert TIMES["off"] == ()
    assert {c.name for c in TIMES["report"]} == {c.name for c in TIMES["gate"]} == {"scaling-times"}
