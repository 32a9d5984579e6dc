"""Which products the gradient of each pixel takes: regions of pixels, their taps, and the matrices of the taps.

Pixels that patches read at the same offsets I x J form a region (`ndbench.covariance.adjoint_regions`). Each needs one
product for every lag l of an offset t in I x J and another offset t + l, with the matrix

    K_l = sum over these t of Gs_(t + l), t.

Matrices that are sums of the same pairs are kept once. Where those of a small region would take too much memory, its
taps are the single pairs.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise, product

import torch
from torch import Tensor

from ndbench.covariance.adjoint_regions import Reach, reaches
from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.division import reciprocal

Pairs = tuple[tuple[int, int], ...]
"""Offsets t' and t, all of one lag t' - t, in the flat order of offsets."""
Tap = tuple[tuple[int, int], Pairs]
"""A lag of rows and columns, and its pairs."""


PIXELS = 128
"""Pixels of one region that a program computes."""


@dataclass(frozen=True)
class AdjointPlan:
    """Tables for kernels.

    Attributes:
        regions: of each region its first row and column, its rows and columns, the reciprocals of their product and of
            the columns, first and last tap, and first offset, number of offsets and step between them for rows and for
            columns, (R, 16) in int32, as are all others but the last two.
        firsts: the first program of every region, the number of programs, and the number of images, (R + 2,).
        taps: of each tap its distance in rows and columns of pixels, its matrix, and its row of `sources` of
            `ClassTables`, (T, 4).
        first: the first pair of every matrix, and the number of pairs, (Q + 1,).
        pairs: t', t and the row of `sources`, (P, 3).
        everywhere: whether every pixel lies in a region.
        programs: the number of programs.
        channel: the channel of every column, (G, F) in int64.
        columns: the number g F + f of the column of an offset and a channel, (K, C) in int64.
    """

    regions: Tensor
    firsts: Tensor
    taps: Tensor
    first: Tensor
    pairs: Tensor
    everywhere: bool
    programs: int
    channel: Tensor
    columns: Tensor

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, patches: Patches, shape: tuple[int, int, int, int], room: int, device: torch.device) -> "AdjointPlan":
        """The plan for inputs of this shape; matrices have room for so many numbers, those of single pairs apart."""
        classes = Classes.of(patches, shape[1], torch.device("cpu"))
        tables = ClassTables.of(patches, shape[1], device)
        rows, columns = axes(patches, *shape[2:])
        regions = list(product(reaches(rows), reaches(columns)))
        chosen = _chosen_taps(regions, patches, classes, room // (tables.units * tables.m**2))
        numbers = {pairs: number for number, pairs in enumerate(dict.fromkeys(p for taps in chosen for _, p in taps))}
        ends = _ends(map(len, chosen))
        programs = _ends(-(-shape[0] * _pixels(*region) // PIXELS) for region in regions)
        K, kw, (dh, dw) = patches.offsets, patches.kernel_size[1], patches.dilation
        group, column = patches.columns(shape[1])
        flat = group * (shape[1] * K // patches.groups(shape[1])) + column

        def table(values: Iterable[Sequence[int]]) -> Tensor:
            return torch.tensor(list(values), dtype=torch.int32).to(device)

        return cls(
            regions=table(_described(*r, *taps) for r, taps in zip(regions, pairwise(ends), strict=True)),
            firsts=table([[*programs, shape[0]]])[0],
            taps=table((dh * i, dw * j, numbers[p], i * kw + j + K - 1) for taps in chosen for (i, j), p in taps),
            first=table([_ends(map(len, numbers))])[0],
            pairs=table((*pair, pair[0] - pair[1] + K - 1) for pairs in numbers for pair in pairs),
            everywhere=all(sum(len(r.positions) for r in reaches(axis)) == axis.length for axis in (rows, columns)),
            programs=programs[-1],
            channel=(flat.flatten().argsort() // K).view(patches.groups(shape[1]), -1).to(device),
            columns=flat.T.contiguous().to(device),
        )


def _ends(sizes: Iterable[int]) -> list[int]:
    """0 and the sums of the first sizes."""
    return [0, *accumulate(sizes)]


def _described(rows: Reach, columns: Reach, first: int, last: int) -> tuple[int, ...]:
    height, width = len(rows.positions), len(columns.positions)
    return (
        *(rows.positions.start, columns.positions.start, height, width),
        *reciprocal(height * width),
        *reciprocal(width),
        *(first, last),
        *_progression(rows.offsets),
        *_progression(columns.offsets),
    )


def _progression(offsets: tuple[int, ...]) -> tuple[int, int, int]:
    """First, number and step: what reads a position are every stride / gcd(stride, dilation)-th offsets."""
    return offsets[0], len(offsets), offsets[1] - offsets[0] if len(offsets) > 1 else 1


def _chosen_taps(
    regions: Sequence[tuple[Reach, Reach]], patches: Patches, classes: Classes, matrices: int
) -> list[list[Tap]]:
    """The taps of every region: lags as long as there is room for their matrices, large regions first."""
    chosen: list[list[Tap]] = [[] for _ in regions]
    kept: set[Pairs] = set()
    for number in sorted(range(len(regions)), key=lambda r: -_pixels(*regions[r])):
        taps = list(_lags(*regions[number], patches, classes))
        grown = kept | {pairs for _, pairs in taps}
        if len(grown) <= matrices:
            kept, chosen[number] = grown, taps
        else:
            chosen[number] = [(lag, (pair,)) for lag, pairs in taps for pair in pairs]
    return chosen


def _pixels(rows: Reach, columns: Reach) -> int:
    return len(rows.positions) * len(columns.positions)


def _lags(rows: Reach, columns: Reach, patches: Patches, classes: Classes) -> Iterator[Tap]:
    """The lags of a region, with their pairs."""
    kh, kw = patches.kernel_size
    found: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (i, j), (u, v) in product(product(rows.offsets, columns.offsets), product(range(kh), range(kw))):
        other, own = u * kw + v, i * kw + j
        if classes.meets[abs(other - own)]:
            found.setdefault((u - i, v - j), []).append((other, own))
    yield from ((lag, tuple(pairs)) for lag, pairs in found.items())
