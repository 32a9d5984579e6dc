"""Random geometries of patches, seeded: rectangular kernels, strides, dilations, paddings, both groupings."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from ndbench.covariance import Patches
from ndbench.covariance.work import Shape

LARGEST_KERNEL = 6
"""Offsets, since what is multiplied for each pair of them takes its time."""


@dataclass(frozen=True)
class Geometry:
    """An input's shape, and its patches."""

    shape: Shape
    patches: Patches

    def x(self) -> Tensor:
        return torch.randn(self.shape, generator=torch.Generator().manual_seed(0))


def geometries(count: int, seed: int = 0) -> list[Geometry]:
    """So many that hold a patch."""
    return list(islice(drawn(random.Random(seed)), count))


def drawn(rng: random.Random) -> Iterator[Geometry]:
    while True:
        block = rng.choice([1, 2, 3, 4])
        shape = (rng.randint(1, 3), block * rng.randint(1, 4), rng.randint(1, 9), rng.randint(1, 9))
        patches = Patches.of(
            (rng.randint(1, 5), rng.randint(1, 5)),
            stride=(rng.randint(1, 3), rng.randint(1, 3)),
            padding=(rng.randint(0, 2), rng.randint(0, 2)),
            dilation=(rng.randint(1, 2), rng.randint(1, 2)),
            block=rng.choice([None, block]),
            pooled=rng.random() < 0.5,
            grouping=rng.choice(["channel", "interleaved"]),
        )
        if patches.offsets <= LARGEST_KERNEL and min(patches.output_size(*shape[2:])) >= 1:
            yield Geometry(shape, patches)
