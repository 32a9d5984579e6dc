"""Every check of deconvolution fails on an implementation that is wrong in just the way it is there to find."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest
import torch

from ndbench.catalog import Implementation
from ndbench.covariance_problems import DeconvolutionProblem
from ndbench.operations import deconvolve
from ndbench.verify.covariance_suite import CHECKS
from ndbench.verify.verdict import Status

CHECK = {check.name: check for check in CHECKS if check.operation == "deconvolution"}


def without_mean(weight, bias, mean, D, **how):
    return deconvolve(weight, bias, torch.zeros_like(mean), D, **how)


def transposed(weight, bias, mean, D, **how):
    return deconvolve(weight, bias, mean, D.mT, **how)


def without_bias(weight, bias, mean, D, **how):
    return deconvolve(weight, None, mean, D, **how)


def bias_whitened_twice(weight, bias, mean, D, **how):
    w, _ = deconvolve(weight, bias, mean, D, **how)
    return w, deconvolve(w, bias, mean, D, **how)[1]


def mean_against_the_old_weight(weight, bias, mean, D, **how):
    w, _ = deconvolve(weight, bias, mean, D, **how)
    return w, deconvolve(weight, bias, mean, torch.eye(D.shape[-1]).expand(D.shape), **how)[1]


def blocks_reversed(weight, bias, mean, D, **how):
    return deconvolve(weight, bias, mean.flip(0), D.flip(0), **how)


def means_reversed(weight, bias, mean, D, **how):
    return deconvolve(weight, bias, mean.flip(0), D, **how)


def first_block_for_all(weight, bias, mean, D, **how):
    return deconvolve(weight, bias, mean[:1].expand(mean.shape), D[:1].expand(D.shape), **how)


def blocks_of_groups_exchanged(weight, bias, mean, D, **how):
    return deconvolve(weight, bias, mean.roll(2, 0), D.roll(2, 0), **how)


def channel_for_interleaved(weight, bias, mean, D, grouping):
    return deconvolve(weight, bias, mean, D)


def interleaved_for_channel(weight, bias, mean, D, grouping):
    return deconvolve(weight, bias, mean, D, grouping="interleaved")


def offsets_transposed(weight, bias, mean, D, **how):
    w, b = deconvolve(weight.mT, bias, mean, D, **how)
    return w.mT.contiguous(), b


def in_bfloat16(*tensors, **how):
    coarse = (t if t is None else t.bfloat16() for t in tensors)
    return tuple(t.to(tensors[0].dtype) for t in deconvolve(*coarse, **how))


def rounded_on_the_way(weight, bias, mean, D, **how):
    w, _ = deconvolve(weight.double(), None, mean.double(), D.double(), **how)
    flat = (w.half().flatten(1) * mean.half()).half()
    shift = torch.zeros(len(w), dtype=torch.float16)
    for column in flat.T:
        shift = shift + column
    return w.half(), (bias - shift).half()


def scaled(weight, bias, mean, D, **how):
    w, b = deconvolve(weight, bias, mean, D, **how)
    return w * (1 + 1e-3), b


def zeros(weight, bias, mean, D, **how):
    return torch.zeros_like(weight), torch.zeros(len(weight))


def identity(weight, bias, mean, D, **how):
    return weight, bias


def one_nan(weight, bias, mean, D, **how):
    w, b = deconvolve(weight, bias, mean, D, **how)
    b[-1] = torch.nan
    return w, b


def mutating(weight, bias, mean, D, **how):
    answer = deconvolve(weight, bias, mean, D, **how)
    weight.copy_(answer[0])
    return answer


def bias_in_place(weight, bias, mean, D, **how):
    w, b = deconvolve(weight, bias, mean, D, **how)
    return w, bias.copy_(b)


def stale():
    previous: list[Any] = []

    def function(*tensors, **how):
        previous.append(deconvolve(*tensors, **how))
        return previous[max(0, len(previous) - 2)]

    return function


def overwriting():
    kept: list[Any] = []

    def function(*tensors, **how):
        answer = deconvolve(*tensors, **how)
        kept.append(answer)
        return tuple(buffer.copy_(new) for buffer, new in zip(kept[0], answer, strict=True))

    return function


@dataclass(frozen=True)
class Sabotage:
    """A wrong implementation, the check that finds it, and a problem on which it does."""

    name: str
    function: Callable[..., Any]
    check: str
    problem: DeconvolutionProblem


usual = DeconvolutionProblem()
separate = replace(usual, block=2, pooled=False)
interleaved = replace(separate, grouping="interleaved")
grouped = replace(separate, groups=2)

SABOTAGE = (
    Sabotage("mean forgotten", without_mean, "folding", usual),
    Sabotage("D transposed", transposed, "folding", usual),
    Sabotage("bias dropped", without_bias, "folding", usual),
    Sabotage("mean whitened twice", bias_whitened_twice, "folding", usual),
    Sabotage("mean not whitened", mean_against_the_old_weight, "folding", usual),
    Sabotage("blocks in the wrong order", blocks_reversed, "folding", separate),
    Sabotage("mean of the wrong block", means_reversed, "folding", separate),
    Sabotage("first block for all", first_block_for_all, "folding", separate),
    Sabotage("blocks of another group", blocks_of_groups_exchanged, "folding", grouped),
    Sabotage("channel for interleaved", channel_for_interleaved, "folding", interleaved),
    Sabotage("interleaved for channel", interleaved_for_channel, "folding", separate),
    Sabotage("offsets transposed", offsets_transposed, "folding", usual),
    Sabotage("bfloat16 products", in_bfloat16, "folding", usual),
    Sabotage("half types all the way", rounded_on_the_way, "folding", replace(usual, dtype=torch.float16)),
    Sabotage("scaled by 1 + 1e-3", scaled, "folding", usual),
    Sabotage("zeros", zeros, "folding", usual),
    Sabotage("nothing folded", identity, "folding", usual),
    Sabotage("one NaN", one_nan, "folding", usual),
    Sabotage("weight mutated", mutating, "inputs-unchanged", usual),
    Sabotage("bias mutated", bias_in_place, "inputs-unchanged", usual),
    Sabotage("previous answer", stale(), "repeatability", usual),
    Sabotage("answer overwritten later", overwriting(), "repeatability", usual),
)


def implementation(function: Callable[..., Any], name: str = "mine") -> Implementation:
    return Implementation(name, "deconvolution", function, devices=("cpu",))


@pytest.mark.parametrize("wrong", SABOTAGE, ids=lambda wrong: wrong.name)
def test_sabotage_is_caught(wrong):
    verdict = CHECK[wrong.check](implementation(wrong.function, wrong.name), wrong.problem)
    assert verdict.status == Status.FAILED
    assert not verdict.reason


@pytest.mark.parametrize("wrong", SABOTAGE, ids=lambda wrong: wrong.name)
def test_sabotage_is_caught_by_the_quick_tier(wrong):
    check, mine = CHECK[wrong.check], implementation(wrong.function, wrong.name)
    assert any(check(mine, problem).status == Status.FAILED for problem in check.problems["quick"])


@pytest.mark.parametrize("wrong", SABOTAGE, ids=lambda wrong: wrong.name)
def test_the_right_implementation_passes_where_sabotage_is_caught(wrong):
    verdict = CHECK[wrong.check](implementation(deconvolve), wrong.problem)
    assert verdict.passed, verdict


def test_every_check_catches_something():
    assert {wrong.check for wrong in SABOTAGE} == set(CHECK)


def test_another_type_is_a_broken_promise():
    def double(*tensors, **how):
        return tuple(t.double() for t in deconvolve(*tensors, **how))

    verdict = CHECK["folding"](implementation(double), usual)
    assert verdict.status == Status.FAILED
    assert "BrokenPromise: the weight must be a tensor" in verdict.reason
