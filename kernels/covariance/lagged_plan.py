"""Which products the lagged algorithm takes: pieces of the image, their programs, and the pairs of offsets they serve.

The pieces are those of `ndbench.covariance.pieces`, of every sampling stride; only the integers are planned here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from ndbench.covariance.assembly import window_counts
from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import Lag, Piece, axes, plan
from ndbench.kernels.covariance.division import reciprocal
from ndbench.kernels.covariance.partials import splits
from ndbench.kernels.covariance.tiles import CHUNK
from ndbench.kernels.tables import kept_on_device


@dataclass(frozen=True)
class LaggedPlan:
    """Tables for kernels, in int32, but the last two in float64.

    Attributes:
        pieces: of each piece its first row and column, its rows and columns, the reciprocals of their product and of
            the columns, its lag in rows and columns of pixels, the distance between its offsets, and the chunks of one
            class, (Q, 12).
        work: the piece, the first chunk and the end of the chunks of every slot, (slots, 3).
        first: the first slot of every piece, and the number of slots, (Q + 1,).
        pairs: offsets t <= t', and the first of their pieces in `held` and the end, (P, 4); t = t' come first.
        numbers: the number of every pair of offsets, (K, K), -1 where t > t' or columns of t and t' never meet.
        held: pieces of pairs.
        variance: (cnt M - cnt_t cnt_t') / M^2 of every pair, (P,).
        presence: mbar of every offset, (K,).
    """

    pieces: Tensor
    work: Tensor
    first: Tensor
    pairs: Tensor
    numbers: Tensor
    held: Tensor
    variance: Tensor
    presence: Tensor

    @classmethod
    @kept_on_device
    def of(
        cls, patches: Patches, shape: tuple[int, int, int, int], stack: int, chunks: int, device: torch.device
    ) -> "LaggedPlan":
        """The plan for inputs of this shape, `stack` classes as rows, with so many chunks a program."""
        rows, columns = axes(patches, *shape[2:])
        kw = patches.kernel_size[1]
        lags = lags_that_meet(patches, shape)
        pieces = [(lag, piece) for lag in lags for piece in lag.pieces]
        of_class = [-(-shape[0] * piece.pixels // CHUNK) for _, piece in pieces]
        work = [
            (number, begin, min(begin + chunks, stack * count))
            for number, count in enumerate(of_class)
            for begin in range(0, stack * count, chunks)
        ]
        slots = [-(-stack * count // chunks) for count in of_class]
        numbers = iter(range(len(pieces)))
        numbered = [(lag, [(next(numbers), piece) for piece in lag.pieces]) for lag in lags]
        pairs = [
            (i * kw + j, (i + lag.rows) * kw + j + lag.columns, [n for n, piece in found if piece.holds((i, j))])
            for lag, found in numbered
            for i, j in lag.offsets
        ]
        ends = [0, *accumulate(len(held) for *_, held in pairs)]
        t, u = torch.tensor([pair[:2] for pair in pairs]).T
        number = torch.full((patches.offsets, patches.offsets), -1, dtype=torch.int32)
        number[t, u] = torch.arange(len(pairs), dtype=torch.int32)
        size, M = window_counts(rows, columns), rows.outputs * columns.outputs

        def table(values: Sequence[Sequence[int]]) -> Tensor:
            return torch.tensor(values, dtype=torch.int32).to(device)

        return cls(
            pieces=table([_described(*piece, patches, n) for piece, n in zip(pieces, of_class, strict=True)]),
            work=table(work),
            first=table([[0, *accumulate(slots)]])[0],
            pairs=table([(a, b, *end) for (a, b, _), end in zip(pairs, pairwise(ends), strict=True)]),
            numbers=number.to(device),
            held=table([[n for *_, held in pairs for n in held]])[0],
            variance=((size[t, u] * M - size[t, t] * size[u, u]).double() / M**2).to(device),
            presence=(size.diagonal().double() / M).to(device),
        )


def _described(lag: Lag, piece: Piece, patches: Patches, chunks: int) -> tuple[int, ...]:
    rows, columns = piece.rows.positions, piece.columns.positions
    (dh, dw), kw = patches.dilation, patches.kernel_size[1]
    return (
        *(rows.start, columns.start, len(rows), len(columns)),
        *reciprocal(piece.pixels),
        *reciprocal(len(columns)),
        *(dh * lag.rows, dw * lag.columns, lag.rows * kw + lag.columns, chunks),
    )


def chunks_per_program(chunks: Sequence[int], planes: int, affordable: int) -> int:
    """How many chunks of a piece a program takes: those of a piece are divided evenly, and its last one has fewer.

    Where more partial sums than one of each piece cannot be afforded, a program takes the whole piece.

    Args:
        chunks: of each piece, all classes that are rows of it.
        planes: programs that take the same chunks.
        affordable: partial sums of every plane that there is memory for.
    """
    # beside a partial sum that is not full, each piece may have its sum in float64
    slots = splits(planes, sum(chunks), affordable - 3 * len(chunks))
    return -(-sum(chunks) // slots)


@lru_cache(maxsize=64)
def chunks_of(patches: Patches, shape: tuple[int, int, int, int], stack: int) -> tuple[int, ...]:
    """The chunks of every piece, `stack` classes as rows."""
    lags = lags_that_meet(patches, shape)
    return tuple(stack * -(-shape[0] * piece.pixels // CHUNK) for lag in lags for piece in lag.pieces)


def lags_that_meet(patches: Patches, shape: tuple[int, int, int, int]) -> list[Lag]:
    """The lags at which classes of channels meet, with their pieces."""
    meets, kw = Classes.of(patches, shape[1], torch.device("cpu")).meets, patches.kernel_size[1]
    return [lag for lag in plan(*axes(patches, *shape[2:])) if meets[lag.rows * kw + lag.columns]]
