"""How many products the algorithms take, from integers alone."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

import torch

from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import Axis, Segment, axes, half_lags

Shape = tuple[int, int, int, int]


def im2col_flops(shape: Shape, patches: Patches) -> int:
    """Flops of the product of the patch matrix with itself, 2 M F^2 in all the groups together."""
    images, channels, height, width = shape
    rows, columns = patches.output_size(height, width)
    groups = patches.groups(channels)
    F = channels * patches.offsets // groups
    return 2 * images * rows * columns * groups * F**2


@dataclass(frozen=True)
class Share:
    """Some pieces of the lags: how many, and their pixels in one image."""

    pieces: int
    pixels: int

    def times(self, other: "Share") -> "Share":
        """Every segment of the rows with every segment of the columns."""
        return Share(self.pieces * other.pieces, self.pixels * other.pixels)


@dataclass(frozen=True)
class LaggedWork:
    """The products of the lagged algorithm, one of each pair of classes for every piece.

    A piece is interior if all offsets whose windows share its phase of the stride hold it, and else on the border: of
    a large image at stride 1 each of the ((2 kh - 1)(2 kw - 1) + 1) / 2 lags has one interior piece.

    Attributes:
        flops_per_pixel: 2 N A m^2, of one pixel of a piece in all images and classes.
        interior: the interior pieces.
        border: the others.
    """

    flops_per_pixel: int
    interior: Share
    border: Share

    @property
    def flops(self) -> int:
        """Of all pieces."""
        return self.flops_per_pixel * (self.interior.pixels + self.border.pixels)

    @property
    def pieces(self) -> int:
        """Their number."""
        return self.interior.pieces + self.border.pieces

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, shape: Shape, patches: Patches) -> "LaggedWork":
        """That of an input of this shape."""
        classes = Classes.of(patches, shape[1], torch.device("cpu"))
        A, m, _ = classes.product_shape
        rows, columns = axes(patches, *shape[2:])
        met = [lag for lag in half_lags(rows, columns) if classes.meets[lag[0] * columns.kernel + lag[1]]]
        on_axes = [(segments(rows, row_lag), segments(columns, column_lag)) for row_lag, column_lag in met]
        interior = total(inner_rows.times(inner_columns) for (inner_rows, _), (inner_columns, _) in on_axes)
        every = total(all_rows.times(all_columns) for (_, all_rows), (_, all_columns) in on_axes)
        border = Share(every.pieces - interior.pieces, every.pixels - interior.pixels)
        return cls(2 * shape[0] * A * m**2, interior, border)


def segments(axis: Axis, lag: int) -> tuple[Share, Share]:
    """Of one axis at one lag, the segments held by all offsets of their phase, and all segments."""
    found = axis.segments(lag)
    holders: dict[int, set[int]] = {}
    for segment in found:
        holders.setdefault(segment.positions.start % axis.stride, set()).update(segment.offsets)
    inner = [s for s in found if set(s.offsets) == holders[s.positions.start % axis.stride]]
    return share_of(inner), share_of(found)


def share_of(found: Iterable[Segment]) -> Share:
    """These segments, and their positions for pixels."""
    lengths = [len(segment.positions) for segment in found]
    return Share(len(lengths), sum(lengths))


def total(shares: Iterable[Share]) -> Share:
    """All of them together."""
    counts = [(share.pieces, share.pixels) for share in shares]
    return Share(sum(pieces for pieces, _ in counts), sum(pixels for _, pixels in counts))
