"""Every check of covariance fails on an implementation that is wrong in just the way it is there to find."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
import torch
from torch.nn import functional

from ndbench.catalog import Implementation
from ndbench.covariance import Patches
from ndbench.covariance.im2col import patch_matrix
from ndbench.covariance_problems import CovarianceProblem
from ndbench.operations import patch_covariance
from ndbench.verify.covariance_suite import CHECKS
from ndbench.verify.verdict import Status

CHECK = {check.name: check for check in CHECKS if check.operation == "covariance"}
right = partial(patch_covariance, algorithm="lagged")


def rows(x, kernel_size, eps=0.0, **geometry):
    """The patch matrix, (M, F) or (G, M, F)."""
    return patch_matrix(x, Patches.of(kernel_size, **geometry))


def finish(mean, cov, eps=0.0):
    return mean, cov + eps * torch.eye(cov.shape[-1], dtype=cov.dtype)


def covariance_of(X, eps=0.0, divisor=None, product=torch.matmul):
    Z = X - X.mean(-2, keepdim=True)
    return finish(X.mean(-2), product(Z.mT, Z) / (divisor or X.shape[-2]), eps)


def uncentered(x, k, eps=0.0, **how):
    X = rows(x, k, **how)
    return finish(X.mean(-2), X.mT @ X / X.shape[-2], eps)


def divided_by_one_less(x, k, eps=0.0, **how):
    X = rows(x, k, **how)
    return covariance_of(X, eps, divisor=X.shape[-2] - 1)


def divided_without_groups(x, k, eps=0.0, **how):
    X = rows(x, k, **how)
    return covariance_of(X, eps, divisor=X.shape[-2] * how["block"] // x.shape[1])


def without_the_last_row(x, k, **how):
    return right(x[:, :, :-1], k, **how)


def difference_of_moments(x, k, eps=0.0, **how):
    X = rows(x, k, **how)
    mean = X.mean(-2)
    return finish(mean, X.mT @ X / X.shape[-2] - mean[..., :, None] * mean[..., None, :], eps)


def one_entry_off(x, k, **how):
    mean, cov = right(x, k, **how)
    cov[..., -1, 0] = torch.nextafter(cov[..., -1, 0], torch.tensor(torch.inf))
    return mean, cov


def without_padding(x, k, padding, **how):
    return right(x, k, **how)


def reflected(x, k, padding, **how):
    return right(functional.pad(x, [padding] * 4, mode="reflect"), k, **how)


def without_dilation(x, k, dilation, **how):
    return right(x, k, **how)


def without_stride(x, k, stride, **how):
    return right(x, k, **how)


def swapped_strides(x, k, stride, **how):
    return right(x, k, stride=stride[::-1], **how)


def mean_of_the_first_image(x, k, **how):
    return right(x[:1], k, **how)[0], right(x, k, **how)[1]


def mean_of_the_pixels(x, k, padding, **how):
    return right(x, k, **how)[0], right(x, k, padding=padding, **how)[1]


def in_the_other_grouping(x, k, grouping, **how):
    return right(x, k, grouping={"channel": "interleaved", "interleaved": "channel"}[grouping], **how)


def offsets_transposed(x, k, **how):
    return right(x.mT, k, **how)


def channels_last_columns(x, k, **how):
    mean, cov = right(x, k, **how)
    order = torch.arange(mean.shape[-1]).view(-1, k * k).T.flatten()
    return mean[..., order], cov[..., order, :][..., order]


def groups_reversed(x, k, **how):
    mean, cov = right(x, k, **how)
    return mean.flip(0), cov.flip(0)


def within_groups_only(x, k, pooled, **how):
    mean, cov = right(x, k, pooled=False, **how)
    return mean.mean(0), cov.mean(0)


def without_eps(x, k, eps, **how):
    return right(x, k, **how)


def eps_everywhere(x, k, eps, **how):
    mean, cov = right(x, k, **how)
    return mean, cov + eps


def relative_eps(x, k, eps, **how):
    mean, cov = right(x, k, **how)
    return finish(mean, cov, eps * float(cov.diagonal(dim1=-2, dim2=-1).mean()))


def hidden_eps(x, k, eps, **how):
    return right(x, k, eps=eps + 1e-5, **how)


def coarse_products(x, k, eps=0.0, digits=torch.bfloat16, **how):
    def product(left, right):
        return left.to(digits).to(left.dtype) @ right.to(digits).to(right.dtype)

    return covariance_of(rows(x, k, **how), eps, product=product)


def computed_in_half(x, k, **how):
    return difference_of_moments(x, k, **how)


def mutating(x, k, **how):
    answer = right(x, k, **how)
    x -= x.mean()
    return answer


def stale():
    previous: list[Any] = []

    def function(x, k, **how):
        previous.append(right(x, k, **how))
        return previous[max(0, len(previous) - 2)]

    return function


def overwriting():
    kept: dict[Any, Any] = {}

    def function(x, k, **how):
        mean, cov = right(x, k, **how)
        buffers = kept.setdefault(cov.shape, (mean, cov))
        return buffers[0].copy_(mean), buffers[1].copy_(cov)

    return function


def noisy():
    generator = torch.Generator().manual_seed(0)

    def function(x, k, **how):
        mean, cov = right(x, k, **how)
        return mean, cov * (1 + 1e-7 * torch.rand(cov.shape, dtype=cov.dtype, generator=generator))

    return function


def scaled(x, k, **how):
    mean, cov = right(x, k, **how)
    return mean, cov * (1 + 1e-3)


def zeros(x, k, **how):
    return tuple(torch.zeros_like(t) for t in right(x, k, **how))


def one_nan(x, k, **how):
    mean, cov = right(x, k, **how)
    cov[..., 0, -1] = torch.nan
    return mean, cov


def nan_mean(x, k, **how):
    mean, cov = right(x, k, **how)
    mean[..., -1] = torch.nan
    return mean, cov


def first_image_twice(x, k, **how):
    return right(torch.cat([x[:1], x]), k, **how)


def first_channel_damped(x, k, **how):
    damped = x.clone()
    damped[:, 0] *= 0.999
    return right(damped, k, **how)


def storage_order(x, k, **how):
    return right(torch.as_strided(x, x.shape, torch.empty(x.shape).stride()).nan_to_num(), k, **how)


def gaps_ignored(x, k, **how):
    dense = x.stride(-1) == 1 or x.stride(-2) == 1 or x.stride(1) == 1
    return right(x if dense else torch.as_strided(x, x.shape, (*x.stride()[:3], 1)).nan_to_num(), k, **how)


def wrong_type(x, k, **how):
    return tuple(t.double() for t in right(x, k, **how))


def slightly_indefinite(x, k, **how):
    mean, cov = right(x, k, **how)
    return mean, cov - 1e-4 * cov.diagonal(dim1=-2, dim2=-1).mean() * torch.eye(cov.shape[-1])


@dataclass(frozen=True)
class Sabotage:
    """A wrong implementation, the check that finds it, and a problem on which it does."""

    name: str
    function: Callable[..., Any]
    check: str
    problem: CovarianceProblem


usual = CovarianceProblem(3, 4, 9, 8, 3, block=2)
padded = replace(usual, padding=1)
separate = replace(usual, pooled=False)
integers = replace(usual, data="integers")
offset = replace(separate, data="offset")
small = CovarianceProblem(1, 2, 4, 4, 3)
coded = CovarianceProblem(2, 8, 3, 3, 3, block=4, data="coded")
half = replace(padded, dtype=torch.float16)

SABOTAGE = (
    Sabotage("uncentered", uncentered, "covariance", replace(usual, data="relu:coffee")),
    Sabotage("uncentered, translated", uncentered, "translation", replace(integers, pooled=False)),
    Sabotage("divisor M - 1", divided_by_one_less, "covariance", usual),
    Sabotage("divisor without the groups", divided_without_groups, "covariance", usual),
    Sabotage("last row dropped", without_the_last_row, "covariance", usual),
    Sabotage("E[xx] - mm in float32", difference_of_moments, "large-mean", offset),
    Sabotage("E[xx] - mm is indefinite", difference_of_moments, "semidefinite", replace(offset, N=1, H=4, W=4)),
    Sabotage("slightly indefinite", slightly_indefinite, "semidefinite", small),
    Sabotage("one entry one ulp off", one_entry_off, "exact-symmetry", usual),
    Sabotage("padding ignored", without_padding, "covariance", padded),
    Sabotage("reflected padding", reflected, "covariance", padded),
    Sabotage("dilation ignored", without_dilation, "covariance", replace(usual, dilation=2)),
    Sabotage("stride ignored", without_stride, "covariance", replace(usual, stride=2)),
    Sabotage("strides swapped", swapped_strides, "covariance", replace(usual, stride=(1, 2))),
    Sabotage("mean of the first image", mean_of_the_first_image, "mean", usual),
    Sabotage("mean without the padding", mean_of_the_pixels, "mean", replace(padded, data="relu:coffee")),
    Sabotage("interleaved for channel", in_the_other_grouping, "grouping", coded),
    Sabotage("channel for interleaved", in_the_other_grouping, "grouping", replace(coded, grouping="interleaved")),
    Sabotage("offsets transposed", offsets_transposed, "grouping", coded),
    Sabotage("channel index last", channels_last_columns, "grouping", coded),
    Sabotage("groups reversed", groups_reversed, "grouping", replace(coded, pooled=False)),
    Sabotage("covariance within groups only", within_groups_only, "covariance", replace(usual, data="relu:coffee")),
    Sabotage("eps missing", without_eps, "eps", usual),
    Sabotage("eps on all entries", eps_everywhere, "eps", usual),
    Sabotage("eps relative to the trace", relative_eps, "eps", usual),
    Sabotage("hidden eps", hidden_eps, "scaling", usual),
    Sabotage("bfloat16 products", coarse_products, "covariance", usual),
    Sabotage("float16 products", partial(coarse_products, digits=torch.float16), "covariance", small),
    Sabotage(
        "float32 products for float64",
        partial(coarse_products, digits=torch.float32),
        "covariance",
        replace(usual, dtype=torch.float64),
    ),
    Sabotage("half types all the way", computed_in_half, "covariance", replace(half, data="relu:coffee")),
    Sabotage("input mutated", mutating, "inputs-unchanged", usual),
    Sabotage("previous answer", stale(), "repeatability", usual),
    Sabotage("answer overwritten later", overwriting(), "repeatability", usual),
    Sabotage("noise", noisy(), "repeatability", usual),
    Sabotage("scaled by 1 + 1e-3", scaled, "covariance", usual),
    Sabotage("scaled beside im2col", scaled, "agreement", usual),
    Sabotage("zeros", zeros, "covariance", usual),
    Sabotage("zero mean", zeros, "mean", usual),
    Sabotage("one NaN", one_nan, "covariance", usual),
    Sabotage("one NaN in the mean", nan_mean, "mean", usual),
    Sabotage("first image counted twice", first_image_twice, "batch-order", usual),
    Sabotage("first channel damped", first_channel_damped, "channel-order", usual),
    Sabotage("strides of storage ignored", storage_order, "strides", usual),
    Sabotage("gaps of storage ignored", gaps_ignored, "strides", usual),
    Sabotage("another type", wrong_type, "covariance", usual),
)


def implementation(function: Callable[..., Any], name: str = "mine") -> Implementation:
    return Implementation(name, "covariance", function, devices=("cpu",))


@pytest.mark.parametrize("wrong", SABOTAGE, ids=lambda wrong: wrong.name)
def test_sabotage_is_caught(wrong):
    verdict = CHECK[wrong.check](implementation(wrong.function, wrong.name), wrong.problem)
    assert verdict.status == Status.FAILED
    # a crash would prove nothing about the check
    assert "BrokenPromise" in verdict.reason if wrong.name == "another type" else not verdict.reason


@pytest.mark.parametrize("wrong", SABOTAGE, ids=lambda wrong: wrong.name)
def test_sabotage_is_caught_by_the_quick_tier(wrong):
    check, mine = CHECK[wrong.check], implementation(wrong.function, wrong.name)
    assert any(check(mine, problem).status == Status.FAILED for problem in check.problems["quick"])


@pytest.mark.parametrize("wrong", SABOTAGE, ids=lambda wrong: wrong.name)
def test_the_right_implementation_passes_where_sabotage_is_caught(wrong):
    verdict = CHECK[wrong.check](implementation(right), wrong.problem)
    assert verdict.passed, verdict


def test_every_check_catches_something():
    assert {wrong.check for wrong in SABOTAGE} == set(CHECK)


def test_checks_see_what_others_cannot():
    """One ulp in one entry is within the budget of the covariance: only exact symmetry sees it."""
    almost = implementation(one_entry_off)
    assert CHECK["covariance"](almost, usual).passed
    assert not CHECK["exact-symmetry"](almost, usual).passed
