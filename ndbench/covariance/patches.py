"""Which patches are taken, and how their columns are divided into blocks."""

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn, SupportsIndex

import torch
from torch import Tensor

Pair = SupportsIndex | Sequence[SupportsIndex]

GROUPINGS = ("channel", "interleaved")


@dataclass(frozen=True)
class Patches:
    """The patches of a covariance: geometry, blocks and grouping.

    Column c K + t of the patch matrix, with K = kh kw and t = i kw + j, holds channel c at the offset (i, j), as in
    :func:`torch.nn.functional.unfold`. The C K columns are divided into G = C / block groups of F = block K.

    Attributes:
        kernel_size: rows and columns of a patch, (kh, kw).
        stride: distance between neighbouring patches, the sampling stride.
        padding: zeros added at both ends of each axis.
        dilation: distance between neighbouring pixels of a patch.
        block: channels of a block; None for all channels.
        pooled: whether the groups share one mean and covariance.
        grouping: "channel" for consecutive channels, "interleaved" for the columns j = g (mod G).
    """

    kernel_size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    block: int | None = None
    pooled: bool = True
    grouping: str = "channel"

    @classmethod
    def of(
        cls,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        block: int | None = None,
        pooled: bool = True,
        grouping: str = "channel",
    ) -> "Patches":
        """Read integers as pairs and refuse what describes no patches.

        Raises:
            TypeError: an argument holds something other than integers.
            ValueError: a size, stride, dilation or block below 1, a negative padding, or an unknown grouping.
        """
        if grouping not in GROUPINGS:
            refuse(f"grouping must be one of {', '.join(GROUPINGS)}; got {grouping!r}")
        if block is not None and (isinstance(block, bool) or not isinstance(block, int)):
            raise TypeError(f"patch_covariance: block must be an integer, or None for all channels; got {block!r}")
        if block is not None and block < 1:
            refuse(f"block must be at least 1, or None for all channels; got {block}")
        return cls(
            kernel_size=pair("kernel_size", kernel_size, least=1),
            stride=pair("stride", stride, least=1),
            padding=pair("padding", padding, least=0),
            dilation=pair("dilation", dilation, least=1),
            block=block,
            pooled=pooled,
            grouping=grouping,
        )

    @property
    def offsets(self) -> int:
        """The number K = kh kw of pixels in a patch."""
        return self.kernel_size[0] * self.kernel_size[1]

    def groups(self, channels: int) -> int:
        """The number G of blocks in so many channels."""
        return 1 if self.block is None else channels // self.block

    def output_size(self, height: int, width: int) -> tuple[int, int]:
        """The number of patches along each axis, (Ho, Wo); below 1 where the kernel is larger than the image."""
        rows, columns = (
            (length + 2 * p - d * (k - 1) - 1) // s + 1
            for length, k, s, p, d in zip(
                (height, width), self.kernel_size, self.stride, self.padding, self.dilation, strict=True
            )
        )
        return rows, columns

    def columns(self, channels: int) -> tuple[Tensor, Tensor]:
        """The group of each column and its index within the group, both of shape (C, K)."""
        groups = self.groups(channels)
        column = torch.arange(channels * self.offsets).view(channels, self.offsets)
        if self.grouping == "interleaved":
            return column % groups, column // groups
        width = channels * self.offsets // groups
        return column // width, column % width

    def check(self, shape: Sequence[int], operation: str = "patch_covariance") -> None:
        """Refuse an input shape (N, C, H, W) that holds no patch or does not divide into blocks, for this operation.

        Raises:
            ValueError: not four dimensions, an empty one, a block that does not divide C, or no room for a patch.
        """
        if len(shape) != 4:
            refuse(f"x must have shape (N, C, H, W); got shape {tuple(shape)}", operation)
        _, channels, height, width = shape
        if min(shape) < 1:
            refuse(f"a covariance needs at least one row, so x must not be empty; got shape {tuple(shape)}", operation)
        if self.block is not None and channels % self.block:
            refuse(f"block must divide the channels; got block {self.block} and {channels} channels", operation)
        if min(self.output_size(height, width)) < 1:
            refuse(
                f"kernel {self.kernel_size} with dilation {self.dilation} must fit into the padded image; got an image"
                f" of {height} x {width} and padding {self.padding}; reduce the kernel or pad more",
                operation,
            )


def pair(name: str, value: Pair, *, least: int, operation: str = "patch_covariance") -> tuple[int, int]:
    """Read one integer as two equal ones, each at least `least`."""
    try:
        values = [operator.index(v) for v in (value if isinstance(value, Sequence) else (value, value))]
    except TypeError as error:
        raise TypeError(f"{operation}: {name} must be an integer or a pair of integers; got {value!r}") from error
    if len(values) != 2 or min(values) < least:
        raise ValueError(
            f"{operation}: {name} must be an integer or a pair of integers, at least {least}; got {value!r}"
        )
    return values[0], values[1]


def refuse(message: str, operation: str = "patch_covariance") -> NoReturn:
    """Raise the ValueError of an argument that cannot be used."""
    raise ValueError(f"{operation}: {message}")
