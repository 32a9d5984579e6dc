"""Pixels that patches read at the same offsets, and how an image is put together from them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ndbench.covariance.pieces import Axis


@dataclass(frozen=True)
class Reach:
    """Positions on one axis that the same offsets read: I(r) = {i : r + p - d i = s y for an output y}."""

    positions: range
    offsets: tuple[int, ...]

    @property
    def span(self) -> int:
        """The distance between the first offset and the last."""
        return self.offsets[-1] - self.offsets[0]


@lru_cache(maxsize=256)
def reaches(axis: Axis) -> tuple[Reach, ...]:
    """The positions that any offset reads, by the offsets that read them: progressions of the stride."""
    windows = [axis.window(i, i) for i in range(axis.kernel)]
    found: dict[tuple[int, ...], list[int]] = {}
    for r in range(axis.length):
        found.setdefault(tuple(i for i, window in enumerate(windows) if r in window), []).append(r)
    return tuple(
        # the offsets that read r all lie in one interval, and it moves on with r
        Reach(range(at[0], at[-1] + 1, axis.stride), offsets)
        for offsets, at in found.items()
        if offsets
    )


def image_of(parts: Sequence[Sequence[Tensor]], rows: Axis, columns: Axis) -> Tensor:
    """The image (..., H, W) of the parts (..., h, w) of each reach of rows and of columns; 0 where nothing reads."""
    return spread([spread(line, columns, -1) for line in parts], rows, -2)


def spread(parts: Sequence[Tensor], axis: Axis, dim: int) -> Tensor:
    """Put parts at the positions of the axis's reaches, along one dimension."""
    whole = torch.cat(tuple(parts), dim)
    at = [r for reach in reaches(axis) for r in reach.positions]
    if at == list(range(axis.length)):
        return whole
    shape = list(whole.shape)
    shape[dim] = axis.length
    # out of place: a map over a batch refuses to write batched values into a tensor without the batch
    return whole.new_zeros(shape).index_copy(dim, torch.tensor(at, device=whole.device), whole)
