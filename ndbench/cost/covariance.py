"""Models of the patch covariances and their adjoints.

With N images, C channels in G groups, K = kh kw offsets, F = C K / G columns of a group and M' = N Ho Wo patches:

    im2col     2 M' G F^2: the definition, of a patch matrix
    buffered   the same for F < 256, beyond it the blocks that meet the upper triangle, 10 of 16
    shifted    2 M' A m^2 for each pair of offsets that meet; K (K + 1) / 2 pairs with "channel" grouping
    lagged     2 N A m^2 for each pixel of each piece of the lags, inside and on the border
    windows    2 M' G F^2, by numpy

A and m are the classes of channels and their size (the blocks, with "channel" grouping). shifted and lagged also
multiply while they assemble the covariance: :func:`assembly`.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import torch

from ndbench.cost.model import Cost
from ndbench.covariance.adjoint_pixels import convolves
from ndbench.covariance.adjoint_regions import Reach, reaches
from ndbench.covariance.buffered import BLOCKS, LARGE
from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes, plan
from ndbench.covariance.work import LaggedWork, Shape, im2col_flops


def im2col(shape: Shape, patches: Patches) -> Cost:
    """The definition with its patch matrix: where autograd records, and on a GPU."""
    return Cost(im2col_flops(shape, patches))


def buffered(shape: Shape, patches: Patches) -> Cost:
    """The definition on a CPU where nothing is recorded: of a large order the blocks of one triangle."""
    F = order(shape, patches)
    if F < LARGE:
        return im2col(shape, patches)
    step = -(-F // BLOCKS)
    entries = sum(min(step, F - first) * (F - first) for first in range(0, F, step))
    return Cost(im2col_flops(shape, patches) // F**2 * entries)


def shifted(shape: Shape, patches: Patches) -> Cost:
    """One product for each pair of offsets, and the assembly."""
    A, m, _ = classes_of(shape, patches).product_shape
    return Cost(2 * rows(shape, patches) * A * m**2 * pairs_of(shape, patches) + assembly(shape, patches))


def lagged(shape: Shape, patches: Patches) -> Cost:
    """One product for each piece of each lag, and the assembly."""
    work = LaggedWork.of(shape, patches)
    return Cost(work.flops + placement(shape, patches) + assembly(shape, patches))


def windows(shape: Shape, patches: Patches) -> Cost:
    """The product of the patches with themselves, by `numpy.cov`."""
    return Cost(im2col_flops(shape, patches))


def window_sums(shape: Shape, patches: Patches) -> int:
    """Flops of the sums of each channel over the windows of pairs of offsets: first along rows, then along columns."""
    _, channels, height, width = shape
    kh, kw = patches.kernel_size
    # a sum over one pixel is no product
    along_rows = 2 * channels * height * width * kw**2 if width > 1 else 0
    along_columns = 2 * channels * height * kw**2 * kh**2 if height > 1 else 0
    return along_rows + along_columns


def assembly(shape: Shape, patches: Patches) -> int:
    """Flops of what follows the sums of products, of `shifted` and `lagged` alike.

    The window sums; a product of rank 3 for every block of the covariance, with the terms of shift and mean; and, where
    groups are pooled, the covariance between their means.
    """
    A, m, _ = classes_of(shape, patches).product_shape
    between = 2 * patches.groups(shape[1]) * order(shape, patches) ** 2 if patches.pooled else 0
    return window_sums(shape, patches) + 6 * pairs_of(shape, patches) * A * m**2 + between


def placement(shape: Shape, patches: Patches) -> int:
    """Flops of adding the pieces of `lagged` up for every pair of offsets, as products with zeros and ones."""
    classes, kw = classes_of(shape, patches), patches.kernel_size[1]
    A, m, _ = classes.product_shape
    lags = [lag for lag in plan(*axes(patches, *shape[2:])) if classes.meets[lag.rows * kw + lag.columns]]
    # PyTorch computes a product of one entry as a sum
    placed = sum(len(lag.offsets) * len(lag.pieces) for lag in lags if len(lag.offsets) * A * m**2 > 1)
    return 2 * placed * A * m**2


def im2col_adjoint(shape: Shape, patches: Patches) -> Cost:
    """The product of the patches with the gradient of the covariance, with or without a patch matrix."""
    return Cost(im2col_flops(shape, patches))


def shifted_adjoint(shape: Shape, patches: Patches) -> Cost:
    """One product for each pair of an offset that reads a pixel and another offset."""
    meets, kernel = classes_of(shape, patches).meets, patches.offsets
    kw = patches.kernel_size[1]

    def taps(row: Reach, column: Reach) -> int:
        own = [i * kw + j for i, j in product(row.offsets, column.offsets)]
        return sum(meets[abs(other - t)] for t in own for other in range(kernel))

    return Cost(centers(shape, patches) + of_regions(shape, patches, taps))


def lagged_adjoint(shape: Shape, patches: Patches, dtype: torch.dtype = torch.float32, device: str = "cpu") -> Cost:
    """One product for each lag of two offsets: a convolution of float32 on a CPU, whose lags all count."""
    meets, (kh, kw) = classes_of(shape, patches).meets, patches.kernel_size
    convolved = convolves(dtype, device, patches)

    def taps(row: Reach, column: Reach) -> int:
        lags = product(range(-row.offsets[-1], kh - row.offsets[0]), range(-column.offsets[-1], kw - column.offsets[0]))
        return sum(convolved or meets[abs(i * kw + j)] for i, j in lags)

    return Cost(centers(shape, patches) + of_regions(shape, patches, taps))


def centers(shape: Shape, patches: Patches) -> int:
    """Flops of (mean - s) Gs, a row for each group."""
    return 2 * patches.groups(shape[1]) * order(shape, patches) ** 2


def of_regions(shape: Shape, patches: Patches, taps: Callable[[Reach, Reach], int]) -> int:
    """Flops of the gradient of all pixels: a product of m x m for each tap of each pixel and class."""
    A, m, _ = classes_of(shape, patches).product_shape
    regions = product(*map(reaches, axes(patches, *shape[2:])))
    taken = sum(len(r.positions) * len(c.positions) * taps(r, c) for r, c in regions)
    return 2 * shape[0] * A * m**2 * taken


def read(shape: Shape, patches: Patches) -> int:
    """The number of values of the input that patches hold."""
    images, channels, *size = shape
    held = [sum(len(reach.positions) for reach in reaches(axis)) for axis in axes(patches, *size)]
    return images * channels * math.prod(held)


def moments(shape: Shape, patches: Patches) -> int:
    """The number of entries of mean and covariance."""
    F = order(shape, patches)
    return (1 if patches.pooled else patches.groups(shape[1])) * (F + F**2)


def pairs_of(shape: Shape, patches: Patches) -> int:
    """The pairs of offsets t <= t' at which classes of channels meet."""
    K, meets = patches.offsets, classes_of(shape, patches).meets
    return sum(K - distance for distance in range(K) if meets[distance])


def order(shape: Shape, patches: Patches) -> int:
    """The number F of columns of a group."""
    return shape[1] * patches.offsets // patches.groups(shape[1])


def rows(shape: Shape, patches: Patches) -> int:
    """The number N Ho Wo of patches."""
    height, width = patches.output_size(*shape[2:])
    return shape[0] * height * width


def classes_of(shape: Shape, patches: Patches) -> Classes:
    """The classes of channels."""
    return Classes.of(patches, shape[1], torch.device("cpu"))


Model = Callable[[Shape, Patches], Cost]

FORWARD: dict[str, Model] = {
    "im2col": im2col,
    "buffered": buffered,
    "shifted": shifted,
    "lagged": lagged,
    "windows": windows,
}
"""Of every algorithm, by name; "buffered" is what "im2col" does on a CPU where nothing is recorded."""

ADJOINT: dict[str, Model] = {
    "im2col": im2col_adjoint,
    "buffered": im2col_adjoint,
    "shifted": shifted_adjoint,
    "lagged": lagged_adjoint,
}
"""Of those that have a hand-written one."""


def forward(algorithm: str, shape: Shape, patches: Patches, itemsize: int = 4) -> Cost:
    """Mean and covariance by one of `FORWARD`.

    Args:
        algorithm: its name.
        shape: of the input, (N, C, H, W).
        patches: which patches, and their blocks.
        itemsize: bytes of a number.

    Example:
        >>> from ndbench.covariance import Patches
        >>> forward("lagged", (1, 1, 10, 10), Patches.of(1)).moved  # 100 pixels, a mean and a variance
        408
    """
    return replace(
        FORWARD[algorithm](shape, patches), moved=itemsize * (read(shape, patches) + moments(shape, patches))
    )


def adjoint(algorithm: str, shape: Shape, patches: Patches, itemsize: int = 4) -> Cost:
    """Gradient with respect to the input, by one of `ADJOINT`, from the input, the moments and their gradients.

    Args:
        algorithm: its name.
        shape: of the input, (N, C, H, W).
        patches: which patches, and their blocks.
        itemsize: bytes of a number.
    """
    F, groups = order(shape, patches), 1 if patches.pooled else patches.groups(shape[1])
    # the mean, and the gradients of both
    moved = read(shape, patches) + math.prod(shape) + groups * (F + F + F**2)
    return replace(ADJOINT[algorithm](shape, patches), moved=itemsize * moved)
