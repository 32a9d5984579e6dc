"""Which products the gradient of each pixel takes: regions of pixels, their taps, and the matrices of the taps.

Pixels that patches read at the same offsets I x J form a region (`ndbench.covariance.adjoint_regions`). Each needs one
product for every lag l of an offset t in I x J and another offset t + l, with the matrix

    K_l = sum over these t of Gs_(t + l), t.

Matrices that are sums of the same pairs are kept once. Where those of all regions would take too much memory, regions
are taken in parts, one after the other, and where those of one region would, classes of channels are too.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise, product

import torch
from torch import Tensor

from ndbench.covariance.adjoint_regions import Reach, reaches
from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.division import reciprocal
from ndbench.kernels.tables import kept_on_device

Progression = tuple[int, int, int]
"""First, number and step."""
Matrix = tuple[int, int, Progression, Progression]
"""A lag of rows and columns, and the rows and the columns of the offsets t of its pairs (t + l, t)."""
Region = tuple[Reach, Reach]

PIXELS = 128
"""Pixels of one region that a program computes."""


@dataclass(frozen=True)
class Part:
    """Tables of some regions, in int32.

    Attributes:
        regions: of each region its first row and column, its rows and columns, the reciprocals of their product and of
            the columns, first and last tap, and first offset, number of offsets and step between them for rows and for
            columns, (R, 16).
        firsts: the first program of every region, the number of programs, and the number of images, (R + 2,).
        taps: of each tap its distance in rows and columns of pixels, its matrix, and its row of `sources` of
            `ClassTables`, (T, 4).
        matrices: of each matrix first row, number of rows and step of its offsets, the same of columns, what t + l is
            beyond t, and its row of `sources`, (Q, 8).
        programs: the number of programs.
    """

    regions: Tensor
    firsts: Tensor
    taps: Tensor
    matrices: Tensor
    programs: int


@dataclass(frozen=True)
class AdjointPlan:
    """Tables for kernels, in int32.

    Attributes:
        parts: of all regions.
        classes: classes of channels whose matrices are held together.
        everywhere: whether every pixel lies in a region.
        channel: the channel of every column, (G, F).
        columns: the number g F + f of the column of an offset and a channel, (K, C).
    """

    parts: tuple[Part, ...]
    classes: int
    everywhere: bool
    channel: Tensor
    columns: Tensor

    @classmethod
    @kept_on_device
    def of(cls, patches: Patches, shape: tuple[int, int, int, int], room: int, device: torch.device) -> "AdjointPlan":
        """The plan for inputs of this shape.

        Args:
            patches: which patches, and their blocks.
            shape: of the input.
            room: numbers of 4 bytes that matrices and the tables of taps and classes may take; the matrices of one
                region and one class are held whatever they take.
            device: of the input.
        """
        tables = ClassTables.of(patches, shape[1], device)
        rows, columns = axes(patches, *shape[2:])
        meets, K = Classes.of(patches, shape[1], torch.device("cpu")).meets, patches.offsets
        regions = [
            (region, tuple(lags(*region, patches, meets))) for region in product(reaches(rows), reaches(columns))
        ]
        # of an image that lies between the patches nothing is read
        most = max((len(found) for _, found in regions), default=1)
        # of a tap 4 numbers, and of a matrix 8
        room = max(0, room - tables.sources.numel() - 12 * sum(len(found) for _, found in regions))
        # where one class stands for all of them, it is not divided
        together = max(1, min(tables.units, room // (tables.m**2 * most)))
        parts = parted(regions, room // (tables.m**2 * together))
        group, column = patches.columns(shape[1])
        flat = group * (shape[1] * K // patches.groups(shape[1])) + column
        return cls(
            parts=tuple(_tables(part, patches, shape[0], device) for part in parts),
            classes=tables.count if tables.units == 1 else together,
            everywhere=all(sum(len(r.positions) for r in reaches(axis)) == axis.length for axis in (rows, columns)),
            channel=(flat.flatten().argsort() // K).view(patches.groups(shape[1]), -1).int().to(device),
            columns=flat.T.int().contiguous().to(device),
        )


Lagged = tuple[Region, tuple[Matrix, ...]]
"""A region, and the matrix of each of its taps."""


def parted(regions: Sequence[Lagged], matrices: int) -> Iterator[list[Lagged]]:
    """The regions in parts, each with as many as have no more matrices, and one at least."""
    part: list[Lagged] = []
    kept: set[Matrix] = set()
    for region in regions:
        grown = kept.union(region[1])
        if part and len(grown) > matrices:
            yield part
            part, grown = [], set(region[1])
        part.append(region)
        kept = grown
    if part:
        yield part


def lags(rows: Reach, columns: Reach, patches: Patches, meets: Sequence[bool]) -> Iterator[Matrix]:
    """The matrices of a region: those of the lags at which classes meet."""
    kh, kw = patches.kernel_size
    for i, down in _lags_of(rows.offsets, kh):
        for j, across in _lags_of(columns.offsets, kw):
            if meets[abs(i * kw + j)]:
                yield i, j, down, across


def _lags_of(offsets: tuple[int, ...], kernel: int) -> Iterator[tuple[int, Progression]]:
    """The lags of one axis, with the offsets that have another offset there."""
    for lag in range(-offsets[-1], kernel - offsets[0]):
        found = [i for i in offsets if 0 <= i + lag < kernel]
        if found:
            yield lag, _progression(found)


def _progression(offsets: Sequence[int]) -> Progression:
    """What reads a position are every stride / gcd(stride, dilation)-th offsets."""
    return offsets[0], len(offsets), offsets[1] - offsets[0] if len(offsets) > 1 else 1


def _tables(part: Sequence[Lagged], patches: Patches, images: int, device: torch.device) -> Part:
    K, kw, (dh, dw) = patches.offsets, patches.kernel_size[1], patches.dilation
    numbers = {matrix: number for number, matrix in enumerate(dict.fromkeys(m for _, found in part for m in found))}
    taps = _ends(len(found) for _, found in part)
    programs = _ends(-(-images * _pixels(*region) // PIXELS) for region, _ in part)

    def table(values: Iterable[Sequence[int]]) -> Tensor:
        return torch.tensor(list(values), dtype=torch.int32).to(device)

    return Part(
        regions=table(_described(*region, *ends) for (region, _), ends in zip(part, pairwise(taps), strict=True)),
        firsts=table([[*programs, images]])[0],
        taps=table((dh * m[0], dw * m[1], numbers[m], m[0] * kw + m[1] + K - 1) for _, found in part for m in found),
        matrices=table((*down, *across, i * kw + j, i * kw + j + K - 1) for i, j, down, across in numbers),
        programs=programs[-1],
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


def _pixels(rows: Reach, columns: Reach) -> int:
    return len(rows.positions) * len(columns.positions)
