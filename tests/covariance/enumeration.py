"""Patch covariances counted out column by column, and the configurations they are compared on."""

from dataclasses import dataclass
from functools import cache
from itertools import chain, product

import numpy as np
import torch
from hypothesis import assume
from hypothesis import strategies as st

from ndbench.covariance import Patches


def places(shape, patches, channel, i, j):
    """The pixel that one column of the patch matrix holds in each row; None in the padding."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = patches.kernel_size, patches.stride, patches.padding, patches.dilation
    images, _, height, width = shape
    found = []
    for n in range(images):
        for top in range(-ph, height + ph - dh * (kh - 1), sh):
            for left in range(-pw, width + pw - dw * (kw - 1), sw):
                r, q = top + dh * i, left + dw * j
                found.append((n, channel, r, q) if 0 <= r < height and 0 <= q < width else None)
    return found


def grouped_places(shape, patches):
    """The places of the columns of each group."""
    channels, (kh, kw) = shape[1], patches.kernel_size
    columns = [places(shape, patches, *at) for at in product(range(channels), range(kh), range(kw))]
    groups = 1 if patches.block is None else channels // patches.block
    if patches.grouping == "interleaved":
        return [columns[g::groups] for g in range(groups)]
    width = len(columns) // groups
    return [columns[g * width : (g + 1) * width] for g in range(groups)]


def enumerated(x, patches):
    """Mean and covariance of the patches in float64."""
    x = x.detach().double().numpy()
    members = [
        [[0.0 if at is None else x[at] for at in column] for column in columns]
        for columns in grouped_places(x.shape, patches)
    ]
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


def drawn(data, padding, size):
    """A case of any geometry and grouping that hypothesis draws, with padding and image up to these sizes."""

    def pair(low, high):
        return data.draw(st.tuples(st.integers(low, high), st.integers(low, high)))

    kernel, stride, padding, dilation, size = pair(1, 4), pair(1, 4), pair(0, padding), pair(1, 3), pair(1, size)
    span = [n + 2 * p - d * (k - 1) for n, p, d, k in zip(size, padding, dilation, kernel, strict=True)]
    assume(min(span) >= 1)
    block, groups = data.draw(st.integers(1, 2)), data.draw(st.integers(1, 4))
    patches = Patches.of(
        kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        block=block,
        pooled=data.draw(st.booleans()),
        grouping=data.draw(st.sampled_from(["channel", "interleaved"])),
    )
    shape = (data.draw(st.integers(1, 2)), block * groups, *size)
    return Case(shape, patches, seed=data.draw(st.integers(0, 99)))
