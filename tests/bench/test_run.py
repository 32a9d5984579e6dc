"""Comparisons: what a row says, and what becomes of contenders that fail."""

import json
import math
import time

import pytest
import torch

from ndbench.bench.run import compare, record
from ndbench.bench.workloads import Contender, Workload, passes
from ndbench.cost.ceilings import Ceilings, measured

RATES = Ceilings(bytes=1e9, flops={"ieee": 1e9, "tf32": 8e9})


def squares(x):
    return (x**2,)


def workload(**contenders):
    return Workload(
        name="squares",
        input=lambda device: torch.arange(1.0, 5.0, device=device),
        contenders=lambda device: contenders,
        truth=squares,
        flops=4.0,
        bytes=32.0,
    )


def test_a_row_for_each_direction():
    rows = list(compare(workload(torch=Contender(squares)), "cpu", RATES, rounds=4))
    assert [(r.contender, r.direction, len(r.seconds)) for r in rows] == [
        ("torch", "forward", 4),
        ("torch", "forward+backward", 4),
    ]
    assert [r.error <= bound for r, bound in zip(rows, (0, 1e-7), strict=True)] == [True, True]
    assert all(r.floor == 32e-9 and not r.captured for r in rows)


def wrong(x):
    return (1.5 * x**2,)


def test_a_wrong_contender_is_not_timed_and_does_not_take_part():
    calls = []

    def counted(x):
        calls.append(x)
        return wrong(x)

    rows = list(compare(workload(off=Contender(counted), right=Contender(squares)), "cpu", RATES, rounds=4))
    off, *right = rows
    # once for the upstream gradients, once to be judged
    assert len(calls) == 2
    assert off.failure == f"wrong: error 5.0e-01, its precision allows {off.allowed:.1e}"
    assert off.error == pytest.approx(0.5)
    assert (off.seconds, off.memory, off.comparison) == ((), None, None)
    assert math.isnan(off.typical)
    assert [(r.contender, r.failure) for r in right] == [("right", "")] * 2


def test_the_others_are_compared_with_the_first_that_is_right():
    def slow(x):
        time.sleep(0.002)
        return squares(x)

    contenders = {"off": Contender(wrong), "quick": Contender(squares), "slow": Contender(slow)}
    rows = list(compare(workload(**contenders), "cpu", RATES, rounds=20))
    found = {(r.contender, r.direction): r for r in rows}
    assert found["quick", "forward"].comparison is None
    comparison = found["slow", "forward"].comparison
    assert (comparison.verdict, comparison.paired) == ("slower", True)
    assert comparison.floor == found["slow", "forward"].noise == found["quick", "forward"].noise
    assert comparison.ratio > 2


def test_memory_is_that_of_one_call():
    rows = list(compare(workload(torch=Contender(squares)), "cpu", RATES, rounds=2))
    assert rows[0].memory == 16


def test_a_contender_may_compute_another_function():
    row, *_ = compare(workload(cubes=Contender(lambda x: (x**3,), truth=lambda x: (x**3,))), "cpu", RATES, rounds=2)
    assert row.error == 0


def test_a_contender_that_fails_says_so_and_spares_the_others():
    def broken(x):
        raise NotImplementedError("no such kernel\nat all")

    rows = list(compare(workload(broken=Contender(broken), torch=Contender(squares)), "cpu", RATES, rounds=2))
    assert rows[0].failure == "NotImplementedError: no such kernel"
    assert [r.contender for r in rows[1:]] == ["torch", "torch"]
    assert json.loads(json.dumps(record(rows, RATES), allow_nan=False))["rows"][0]["error"] == "nan"


class OneWay(torch.autograd.Function):
    """A square without a backward pass."""

    @staticmethod
    def forward(ctx, x):
        return x**2

    @staticmethod
    def backward(ctx, g):
        raise RuntimeError("no way back")


def test_a_contender_without_a_backward_pass_keeps_its_forward_pass():
    contenders = {"one way": Contender(lambda x: (OneWay.apply(x),)), "torch": Contender(squares)}
    rows = list(compare(workload(**contenders), "cpu", RATES, rounds=2))
    assert [(r.contender, r.direction, r.failure) for r in rows] == [
        ("one way", "forward", ""),
        ("torch", "forward", ""),
        ("one way", "forward+backward", "RuntimeError: no way back"),
        ("torch", "forward+backward", ""),
    ]


def test_infinite_errors_are_wrong_and_recorded():
    rows = list(compare(workload(lost=Contender(lambda x: (x**2 / 0,))), "cpu", RATES, rounds=2))
    assert rows[0].failure.startswith("wrong: error inf")
    assert json.loads(json.dumps(record(rows, RATES), allow_nan=False))["rows"][0]["error"] == "inf"


def test_settings_last_as_long_as_the_call():
    seen = []

    def settings():
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32

    def noted(x):
        seen.append(settings())
        return squares(x)

    before = settings()
    for wanted, allowed in (("high", True), ("highest", False)):
        seen.clear()
        list(compare(workload(noted=Contender(noted, settings=wanted)), "cpu", RATES, rounds=2))
        assert (wanted, allowed) in seen
        assert settings() == before


def test_rows_tell_the_settings_of_their_own_calls():
    contenders = {"exact": Contender(squares), "coarse": Contender(squares, "tf32", settings="high")}
    rows = list(compare(workload(**contenders), "cpu", RATES, rounds=2))
    found = record(rows, RATES)["rows"]
    told = [tuple(r["how"][k] for k in ("precision", "float32_matmul_precision", "cudnn_allow_tf32")) for r in found]
    assert told == [("ieee", "highest", False), ("tf32", "high", True)] * 2
    assert rows[1].comparison is not None


def test_the_backward_pass_is_that_of_a_random_upstream_gradient():
    x = torch.arange(1.0, 5.0)
    both = dict(passes(Contender(squares), x))["forward+backward"]
    (first,), (second,) = both(), both()
    assert torch.equal(first, second)
    assert (first != 0).all()
    assert x.grad is None


@pytest.mark.parametrize(("precision", "seconds"), [("ieee", 8e-3), ("tf32x3", 3e-3), ("tf32", 1e-3)])
def test_the_floor_is_the_longer_of_arithmetic_and_traffic(precision, seconds):
    assert RATES.floor(8e6, 1.0, precision) == pytest.approx(seconds)
    assert RATES.floor(1.0, 1e9, precision) == 1


def test_products_of_16_bits_have_a_rate_of_their_own():
    rates = Ceilings(bytes=1e9, flops={**RATES.flops, "float16": 1.6e10, "bfloat16": 1.5e10})
    assert rates.floor(8e6, 1.0, "float16") == pytest.approx(5e-4)
    assert rates.floor(7.5e6, 1.0, "bfloat16") == pytest.approx(5e-4)


def test_ceilings_of_the_cpu_are_plausible():
    found = measured("cpu", rounds=2)
    assert 1e8 < found.bytes < 1e13
    assert 1e8 < found.flops["ieee"] < 1e14
    assert found.flops["tf32"] == found.flops["ieee"]


def test_what_was_measured_is_recorded():
    (first, *_) = rows = list(compare(workload(torch=Contender(squares)), "cpu", RATES, rounds=4))
    found = json.loads(json.dumps(record(rows, RATES), allow_nan=False))
    assert found["environment"]["allocator"]["library"]
    row = found["rows"][0]
    assert row["seconds"] == list(first.seconds)
    assert row["how"]["timed_on"] == "cpu"
    assert row["rounds"] == first.samples.rounds
    assert (row["memory"], row["comparison"], row["failure"]) == (16, None, "")
