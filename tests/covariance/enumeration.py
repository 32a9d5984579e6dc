"""Patch covariances counted out column by column, and the configurations they are compared on."""

from dataclasses import dataclass
from functools import cache
from itertools import chain

import numpy as np
import torch

from ndbench.covariance import Patches


def column(x, patches, channel, i, j):
    """The values of one column of the patch matrix, row by row."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = patches.kernel_size, patches.stride, patches.padding, patches.dilation
    images, _, height, width = x.shape
    values = []
    for n in range(images):
        for top in range(-ph, height + ph - dh * (kh - 1), sh):
            for left in range(-pw, width + pw - dw * (kw - 1), sw):
                r, q = top + dh * i, left + dw * j
                inside = 0 <= r < height and 0 <= q < width
                values.append(x[n, channel, r, q] if inside else 0.0)
    return values


def enumerated(x, patches):
    """Mean and covariance of the patches in float64."""
    x = x.detach().double().numpy()
    channels, (kh, kw) = x.shape[1], patches.kernel_size
    columns = [column(x, patches, c, i, j) for c in range(channels) for i in range(kh) for j in range(kw)]
    groups = 1 if patches.block is None else channels // patches.block
    members = [[] for _ in range(groups)]
    for number, values in enumerate(columns):
        group = number % groups if patches.grouping == "interleaved" else number // (len(columns) // groups)
        members[group].append(values)
    if patches.pooled:
        members = [[list(chain(*parts)) for parts in zip(*members, strict=True)]]
    found = [moments(np.array(group)) for group in members]
    mean, cov = (torch.from_numpy(np.stack(part)) for part in zip(*found, strict=True))
    return (mean[0], cov[0]) if patches.pooled else (mean, cov)


def moments(columns):
    mean = columns.mean(axis=1)
    F, M = columns.shape
    cov = np.empty((F, F))
    for a in range(F):
        for b in range(F):
            cov[a, b] = np.sum((columns[a] - mean[a]) * (columns[b] - mean[b])) / M
    return mean, cov


@dataclass(frozen=True)
class Case:
    """One input shape and what is taken from it."""

    shape: tuple[int, int, int, int]
    patches: Patches
    offset: float = 0.5
    seed: int = 0

    def input(self, dtype=torch.float64):
        generator = torch.Generator().manual_seed(self.seed)
        x = torch.randn(self.shape, dtype=torch.float64, generator=generator)
        # every channel and every place differs, or a wrong border would go unnoticed
        trend = torch.linspace(-1, 1, self.shape[3], dtype=torch.float64)
        return (x + trend + self.offset + torch.arange(self.shape[1])[:, None, None] / 4).to(dtype)

    def __str__(self):
        p = self.patches
        words = f"{self.shape} k{p.kernel_size} s{p.stride} p{p.padding} d{p.dilation} B{p.block} {p.grouping}"
        return words + (" pooled" if p.pooled else "")


@cache
def expected(case, dtype):
    return enumerated(case.input(dtype), case.patches)


def case(shape, kernel_size, *, offset=0.5, **options):
    return Case(shape, Patches.of(kernel_size, **options), offset)


CASES = (
    case((2, 3, 5, 6), 1),
    case((2, 3, 5, 6), 1, padding=1),
    case((2, 2, 5, 6), 2),
    case((2, 2, 5, 6), 2, padding=2, pooled=False),
    case((2, 2, 6, 7), 3),
    case((2, 2, 6, 7), 3, padding=1),
    case((2, 2, 6, 5), 3, padding=3),
    case((1, 2, 7, 5), 3, padding=1, stride=2),
    case((1, 2, 7, 8), 3, padding=1, stride=3),
    case((1, 2, 9, 8), 3, padding=2, stride=4),
    case((2, 2, 9, 8), 3, padding=(0, 2), stride=(2, 1)),
    case((1, 2, 8, 9), 3, padding=2, dilation=2),
    case((1, 1, 9, 9), 3, padding=3, dilation=3, stride=2),
    case((1, 2, 8, 7), (2, 3), padding=(1, 2), dilation=(3, 1), stride=(1, 2)),
    case((2, 1, 6, 9), (4, 2), padding=(4, 0)),
    case((2, 2, 7, 6), (1, 3), padding=(0, 1)),
    case((2, 2, 7, 6), (3, 1), padding=(1, 0), stride=(3, 2)),
    case((1, 1, 8, 7), 5, padding=2),
    case((1, 1, 9, 10), 5, padding=4, stride=2),
    case((1, 1, 8, 9), 7, padding=3),
    case((1, 1, 7, 7), 7),
    case((1, 2, 3, 3), 3),
    case((3, 2, 1, 1), 1),
    case((2, 2, 1, 1), 3, padding=1),
    case((1, 2, 2, 5), (2, 5), padding=(2, 5)),
    case((2, 3, 1, 1), 1, padding=1, stride=3),
    case((2, 4, 5, 6), 3, padding=1, block=2),
    case((2, 4, 5, 6), 3, padding=1, block=2, pooled=False),
    case((2, 4, 5, 6), 3, padding=1, block=1),
    case((2, 4, 5, 6), 3, padding=1, block=4, pooled=False),
    case((2, 4, 5, 6), 3, padding=1, block=2, grouping="interleaved"),
    case((2, 4, 5, 6), 3, padding=1, block=2, grouping="interleaved", pooled=False),
    case((2, 4, 4, 4), 2, padding=1, block=1, grouping="interleaved", pooled=False),
    case((2, 6, 4, 5), 3, padding=1, block=1, grouping="interleaved", pooled=False),
    case((2, 6, 4, 5), 3, padding=1, block=1, grouping="interleaved"),
    case((2, 6, 4, 5), 3, padding=1, block=2, grouping="interleaved", pooled=False),
    case((1, 6, 5, 7), (2, 3), padding=(0, 2), block=1, stride=2, grouping="interleaved"),
    case((1, 8, 5, 4), 2, padding=1, block=2, dilation=2, grouping="interleaved"),
    case((1, 12, 4, 4), (2, 2), padding=1, block=2, grouping="interleaved", pooled=False),
    case((2, 4, 5, 5), 1, block=2, grouping="interleaved", pooled=False),
    case((2, 2, 6, 7), 3, offset=1e3),
    case((2, 4, 6, 7), 3, offset=1e3, block=2, grouping="interleaved"),
)
