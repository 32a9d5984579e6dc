"""Statistics of the batches of many processes together."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch import distributed as dist

from ndbench.covariance.patches import Patches


def is_distributed() -> bool:
    """Whether there are other processes."""
    return dist.is_available() and dist.is_initialized()


def joined(
    mean: Tensor, cov: Tensor, *, rows: int, group: Any, require: Callable[[int], None]
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the rows of all processes, from those of each.

    With M_p rows in process p and M in all,

        mean = sum over p of M_p mean_p / M,
        cov = sum over p of M_p (cov_p + (mean_p - mean)^T (mean_p - mean)) / M,

    in two reductions, so that large means cost no digits. All processes get the same numbers, and the gradients of all
    losses together: every process must call this, and its backward, in the same order.

    Args:
        mean: of this process's rows, (F,) or (G, F); zero if it has none.
        cov: their covariance, (F, F) or (G, F, F).
        rows: M_p, the same number for every group of columns.
        group: the processes; None for all.
        require: called with M, to raise if that is too few.

    Raises:
        RuntimeError: of the backend, if a process is lost or late.
    """
    own = torch.cat([mean.new_tensor([rows], dtype=torch.float64), rows * mean.double().flatten()])
    totals = Summed.apply(own, group)  # type: ignore[no-untyped-call]
    require(int(totals[0]))
    joint = (totals[1:] / totals[0]).reshape(mean.shape).to(mean.dtype)
    difference = mean - joint
    spread = cov + difference[..., :, None] * difference[..., None, :]
    return joint, Summed.apply(spread * (rows / totals[0].detach()).to(cov.dtype), group)  # type: ignore[no-untyped-call]


def of_none(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """The zeros that stand for statistics of an empty batch; a part of its graph, so that backward joins in too."""
    F = (patches.block or x.shape[1]) * patches.offsets
    leading = () if patches.pooled else (patches.groups(x.shape[1]),)
    zero = x.sum().to(torch.promote_types(x.dtype, torch.float32))
    return zero.expand(*leading, F), zero.expand(*leading, F, F)


class Summed(torch.autograd.Function):
    """The sum over processes, whose gradient is the sum of their gradients."""

    @staticmethod
    def forward(ctx: Any, own: Tensor, group: Any) -> Tensor:
        """The sum."""
        ctx.group = group
        total = own.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total, group=group)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        """The sum of the gradients, which has gradients of its own."""
        return Summed.apply(gradients[0], ctx.group), None  # type: ignore[no-untyped-call]
