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
"""Offsets of most, since what is multiplied for each pair of them takes its time."""

LARGE = ((3, 1, True), (3, 29, True), (3, 32, False), (5, 1, False), (5, 11, True), (7, 2, False), (9, 1, True))
"""Kernel sizes, channels of a block and whether blocks are pooled, of few small images; F = 9 x 29 is above 256."""


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


def large() -> list[Geometry]:
    """Square kernels up to 9 x 9 on images little larger, orders of both branches of the definition among them."""
    return [
        Geometry((2, 2 * block, k + 1, k), Patches.of(k, padding=k // 2, stride=1 + k % 3, block=block, pooled=pooled))
        for k, block, pooled in LARGE
    ]


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
