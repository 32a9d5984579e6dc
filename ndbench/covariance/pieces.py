"""Where a pair of patch offsets meets the image: windows, segments and pieces, all in integers.

A pair of offsets t, t' multiplies pixels whose distance depends on the lag t' - t only, over a window of positions
that differs from one pair of that lag to the next by border strips. Cut at all borders, the windows of a lag are
unions of disjoint pieces; the product of each piece is computed once and added to every pair whose window holds it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise, product

from ndbench.covariance.patches import Patches


@dataclass(frozen=True)
class Segment:
    """Positions on one axis, and the offsets whose windows all hold them."""

    positions: range
    offsets: tuple[int, ...]


@dataclass(frozen=True)
class Axis:
    """One axis: output y at offset i reads the position r = stride y + dilation i - padding."""

    length: int
    kernel: int
    stride: int
    padding: int
    dilation: int

    @property
    def outputs(self) -> int:
        """The number of outputs."""
        return (self.length + 2 * self.padding - self.dilation * (self.kernel - 1) - 1) // self.stride + 1

    def window(self, i: int, other: int) -> range:
        """The positions of offset i at the outputs where i and the other offset both lie inside the image."""
        start, stop = self.dilation * i - self.padding, self.dilation * other - self.padding
        low, high = min(start, stop), max(start, stop)
        # the first output at or after the lower border, and the first one past the upper border
        first = max(0, -(low // self.stride))
        last = min(self.outputs, -((high - self.length) // self.stride))
        return range(self.stride * first + start, self.stride * max(first, last) + start, self.stride)

    def segments(self, lag: int) -> tuple[Segment, ...]:
        """The windows of the offsets (i, i + lag), cut at all their ends into disjoint segments."""
        windows = {i: self.window(i, i + lag) for i in range(max(0, -lag), min(self.kernel, self.kernel - lag))}
        segments = []
        for phase in range(self.stride):
            runs = {i: window for i, window in windows.items() if window and window.start % self.stride == phase}
            ends = sorted({end for window in runs.values() for end in (window.start, window.stop)})
            for start, stop in pairwise(ends):
                offsets = tuple(i for i, window in runs.items() if start in window)
                if offsets:
                    segments.append(Segment(range(start, stop, self.stride), offsets))
        return tuple(segments)


@dataclass(frozen=True)
class Piece:
    """A row segment times a column segment."""

    rows: Segment
    columns: Segment

    @property
    def pixels(self) -> int:
        """The number of positions."""
        return len(self.rows.positions) * len(self.columns.positions)

    def holds(self, offset: tuple[int, int]) -> bool:
        """Whether the window of this offset contains the piece."""
        return offset[0] in self.rows.offsets and offset[1] in self.columns.offsets


@dataclass(frozen=True)
class Lag:
    """A difference of offsets (D_r, D_c), the offsets (i, j) that have a partner there, and its pieces."""

    rows: int
    columns: int
    offsets: tuple[tuple[int, int], ...]
    pieces: tuple[Piece, ...]


def axes(patches: Patches, height: int, width: int) -> tuple[Axis, Axis]:
    """The row axis and the column axis of an image."""
    rows, columns = (
        Axis(*numbers)
        for numbers in zip(
            (height, width), patches.kernel_size, patches.stride, patches.padding, patches.dilation, strict=True
        )
    )
    return rows, columns


def half_lags(rows: Axis, columns: Axis) -> Iterator[tuple[int, int]]:
    """One of every two opposite lags: D_r > 0, or D_r = 0 and D_c >= 0."""
    for row_lag in range(rows.kernel):
        for column_lag in range(1 - columns.kernel if row_lag else 0, columns.kernel):
            yield row_lag, column_lag


@lru_cache(maxsize=256)
def plan(rows: Axis, columns: Axis) -> tuple[Lag, ...]:
    """The lags of one triangle of the covariance, with their pieces."""
    row_segments = {lag: rows.segments(lag) for lag in range(rows.kernel)}
    column_segments = {lag: columns.segments(lag) for lag in range(1 - columns.kernel, columns.kernel)}
    lags = []
    for row_lag, column_lag in half_lags(rows, columns):
        offsets = product(
            range(rows.kernel - row_lag),
            range(max(0, -column_lag), min(columns.kernel, columns.kernel - column_lag)),
        )
        pieces = product(row_segments[row_lag], column_segments[column_lag])
        lags.append(Lag(row_lag, column_lag, tuple(offsets), tuple(Piece(r, c) for r, c in pieces)))
    return tuple(lags)
