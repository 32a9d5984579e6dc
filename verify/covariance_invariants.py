"""Checks of what must not change a patch covariance, or must change it in a known way."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.covariance_problems import CovarianceProblem
from ndbench.problems import dtype_name
from ndbench.verify import metrics
from ndbench.verify.budgets import unit_roundoff
from ndbench.verify.check import Measurement
from ndbench.verify.covariance_answers import (
    Answer,
    answer,
    call,
    question,
    read,
    respond,
    shape_of,
    true_values,
    truths,
)
from ndbench.verify.covariance_values import entries, evidence
from ndbench.verify.verdict import NotRun

EPS = 0.25
"""Added to the diagonal by the check of eps."""
EXPONENTS = (-3, 5)
"""Powers of 2 by which the check of scaling multiplies."""


def translation(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """A constant added to each channel leaves the covariance: it may change by both budgets.

    Blocks that are pooled get the same constants, for their means would differ otherwise.
    """
    x = question(problem)
    if problem.padding not in (0, (0, 0)):
        raise NotRun("zeros of the padding are not translated")
    constants = _constants(problem)
    moved = (x.double() + constants).to(problem.dtype)
    if not torch.equal(moved.double(), x.double() + constants):
        raise NotRun(f"the translated images are rounded in {dtype_name(problem.dtype)}")
    here, there = truths(problem), true_values(moved, problem.arguments())
    allowed = here.budget(implementation) + there.budget(implementation)
    after = respond(implementation, moved, problem.arguments())
    return entries(after.cov, answer(implementation, problem).cov, allowed)


def channel_order(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """Channels moved on by one place inside each block move rows and columns: both answers may be off by a budget."""
    x, true = question(problem), truths(problem)
    block = problem.block or problem.C
    if block == 1 or (problem.grouping == "interleaved" and block < problem.C):
        raise NotRun("no two channels of this grouping can be exchanged inside a block")
    before, order = answer(implementation, problem), _moved_on(problem.C, block)
    after = respond(implementation, x[:, torch.from_numpy(order)], problem.arguments())
    offsets = shape_of(x, problem.arguments())[1] // block
    columns = (_moved_on(block, block)[:, None] * offsets + np.arange(offsets)).ravel()
    wanted, allowed = before.cov[:, columns][..., columns], true.budget(implementation)[:, columns][..., columns]
    return entries(after.cov, wanted, 2 * allowed)


def batch_order(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """The order of the images does not matter: mean and covariance may change by twice their budgets."""
    if problem.N == 1:
        raise NotRun("one image has no order")
    after = respond(implementation, question(problem).roll(1, 0), problem.arguments())
    before, true = answer(implementation, problem), truths(problem)
    allowed = np.concatenate([true.mean_budget.ravel(), true.budget(implementation).ravel()])
    return entries(_all(after), _all(before), 2 * allowed)


def strides(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """The same values in other layouts of memory have the same mean and covariance, within the budgets of the truth.

    What lies between the values is NaN, so reading it shows.
    """
    true = truths(problem)
    allowed = np.concatenate([true.mean_budget.ravel(), true.budget(implementation).ravel()])
    wanted = np.concatenate([true.mean.ravel(), true.cov.ravel()])
    x = question(problem).to(implementation.place)
    found = [read(call(implementation, layout(x), problem.arguments()), x, problem.arguments()) for layout in LAYOUTS]
    distance = np.concatenate([abs(_all(one) - wanted) for one in found]).astype(np.float64)
    return Measurement(*metrics.worst(distance, np.tile(allowed, len(found))), evidence(true))


def inputs_unchanged(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """The images are what they were: the number of pixels that differ is 0."""
    x = question(problem).to(implementation.place, copy=True)
    call(implementation, x, problem.arguments())
    return Measurement(float((x.cpu() != question(problem)).sum()), 0.0)


def repeatability(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """The same images give the same bits again, after other images: the number of entries that differ is 0.

    The first answer is read again after the other images, so one that a later call overwrites shows.
    """
    x, arguments = question(problem).to(implementation.place), problem.arguments()
    first = call(implementation, x.clone(), arguments)
    kept = _all(read(first, x, arguments))
    call(implementation, -x / 2, arguments)
    later = _all(read(first, x, arguments))
    again = _all(read(call(implementation, x.clone(), arguments), x, arguments))
    return Measurement(float((kept != later).sum() + (kept != again).sum()), 0.0)


def diagonal(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """Only the diagonal changes with eps: by eps, where cov + eps may be rounded twice. The rest is bitwise equal."""
    arguments = problem.arguments()
    without, added = (
        respond(implementation, question(problem), {**arguments, "eps": value}).cov for value in (0.0, EPS)
    )
    eye = np.eye(without.shape[-1])
    u = unit_roundoff(problem.dtype)
    return entries(added, without + EPS * eye, 2 * u * (abs(without) + EPS) * eye)


def scaling(implementation: Implementation, problem: CovarianceProblem) -> Measurement:
    """Images times 2^j have 2^j times the mean and 4^j times the covariance, bit by bit: no rounding differs."""
    if problem.eps:
        raise NotRun("eps is not scaled")
    if torch.finfo(problem.dtype).bits < 32:
        raise NotRun(f"{dtype_name(problem.dtype)} has no room for scaling")
    before = answer(implementation, problem)
    differ = 0
    for j in EXPONENTS:
        after = respond(implementation, question(problem) * 2.0**j, problem.arguments())
        differ += int((after.mean != before.mean * 2.0**j).sum())
        differ += int((after.cov != before.cov * 4.0**j).sum())
    return Measurement(float(differ), 0.0)


def _constants(problem: CovarianceProblem) -> Tensor:
    """64, 128, ... for the channels of a block; one constant where pooled groups share channels, (C, 1, 1)."""
    channel, block = torch.arange(problem.C), problem.block or problem.C
    if problem.pooled and block < problem.C:
        channel = channel % block if problem.grouping == "channel" else channel * 0
    return 64.0 * (1 + channel.view(-1, 1, 1)).double()


def _all(found: Answer) -> NDArray[np.float64]:
    """Mean and covariance in one line."""
    return np.concatenate([found.mean.ravel(), found.cov.ravel()])


def _moved_on(channels: int, block: int) -> NDArray[np.int64]:
    """Channels in an order in which each block is moved on by one."""
    return np.roll(np.arange(channels).reshape(-1, block), 1, axis=1).ravel()


def _channels_last(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last)


def _columns_first(x: Tensor) -> Tensor:
    return x.mT.contiguous().mT


def _channels_first(x: Tensor) -> Tensor:
    return x.transpose(0, 1).contiguous().transpose(0, 1)


def _sliced(x: Tensor) -> Tensor:
    """Every second column, inside a frame."""
    N, C, H, W = x.shape
    surroundings = torch.full((N, C, H + 2, 2 * W + 1), torch.nan, dtype=x.dtype, device=x.device)
    view = surroundings[:, :, 1:-1, 1::2]
    view.copy_(x)
    return view


LAYOUTS: tuple[Callable[[Tensor], Tensor], ...] = (_channels_last, _columns_first, _channels_first, _sliced)
