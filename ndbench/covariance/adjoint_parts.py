"""The gradient of the pixels of one region: a sum of products, or one convolution."""

from collections.abc import Callable, Iterable
from itertools import product

import torch
from torch import Tensor
from torch.nn import functional

from ndbench.covariance.adjoint_regions import Reach
from ndbench.covariance.adjoint_weights import Upstream, sources
from ndbench.covariance.lagged import moved, region
from ndbench.covariance.patches import Patches

Part = Callable[[Tensor], Tensor]
"""The gradient (n, C, h, w) of the pixels of a region, from the surroundings of n images."""
Tap = tuple[tuple[int, int], Tensor]
"""A lag of rows and columns, and the weights (A, m, m) of the pixels that far away."""


def surroundings(images: Tensor, upstream: Upstream) -> Tensor:
    """X - s with as many of the zeros around the images as a lag reaches, (n, C, H, W) plus two margins."""
    height, width = margins(upstream.patches)
    return functional.pad(images, (width, width, height, height)) - upstream.shift[:, None, None]


def by_class(images: Tensor, upstream: Upstream) -> Tensor:
    """The surroundings with the channels of a class last, (A, n, H, W, m) plus two margins."""
    return surroundings(images, upstream)[:, upstream.classes.members].permute(1, 0, 3, 4, 2).contiguous()


def margins(patches: Patches) -> tuple[int, int]:
    """The longest distance of two pixels of a patch, along each axis."""
    (kh, kw), (dh, dw) = patches.kernel_size, patches.dilation
    return dh * (kh - 1), dw * (kw - 1)


def constant(upstream: Upstream, rows: Reach, columns: Reach) -> Tensor:
    """The sum of v over the offsets of a region, (A, m)."""
    return upstream.constant[:, :, list(rows.offsets)][..., list(columns.offsets)].sum((2, 3))


def lag_sums(weights: Tensor, rows: Reach, columns: Reach) -> Tensor:
    """K_l of a region, (Lh, Lw, A, m, m): the lags begin at minus its last offset."""
    kh, kw = weights.shape[2:4]
    total = weights.new_zeros(kh + rows.span, kw + columns.span, *weights.shape[4:])
    for i, j in product(rows.offsets, columns.offsets):
        top, left = rows.offsets[-1] - i, columns.offsets[-1] - j
        total[top : top + kh, left : left + kw] += weights[i, j]
    return total


def products(rows: Reach, columns: Reach, taps: Iterable[Tap], upstream: Upstream) -> Part:
    """The gradient as one product for each tap, from surroundings by class."""
    patches, classes = upstream.patches, upstream.classes
    (dh, dw), (top, left), kw = patches.dilation, margins(patches), patches.kernel_size[1]
    met = [(i, j, W) for (i, j), W in taps if classes.meets[abs(i * kw + j)]]
    v = constant(upstream, rows, columns)[:, None]
    order = classes.members.flatten().argsort()

    def part(y: Tensor) -> Tensor:
        A, n, _, _, m = y.shape
        total = v
        for i, j, W in met:
            there = region(y, moved(rows.positions, top + dh * i), moved(columns.positions, left + dw * j))
            there = sources(there, classes, i * kw + j).reshape(A, -1, m)
            total = torch.baddbmm(total, there, W.expand(A, m, m))
        pixels = total.view(A, n, len(rows.positions), len(columns.positions), m)
        return pixels.permute(1, 0, 4, 2, 3).reshape(n, A * m, *pixels.shape[2:4])[:, order]

    return part


def convolution(rows: Reach, columns: Reach, upstream: Upstream) -> Part:
    """The gradient as one convolution of the surroundings, where classes are the blocks."""
    patches, v = upstream.patches, constant(upstream, rows, columns)
    kernel = lag_sums(upstream.weights, rows, columns).permute(2, 4, 3, 0, 1)
    # blocks that share their weights are images of their own: the kernel is not repeated
    groups, m, _, Lh, Lw = kernel.shape
    kernel = kernel.reshape(groups * m, m, Lh, Lw)
    (dh, dw), (top, left) = patches.dilation, margins(patches)
    height, width = covered(rows, top, dh, Lh), covered(columns, left, dw, Lw)

    def part(y: Tensor) -> Tensor:
        y = y[:, :, height, width]
        y = y.reshape(-1, groups * m, *y.shape[2:])
        found = functional.conv2d(y, kernel, None, patches.stride, dilation=(dh, dw), groups=groups)
        return found.view(-1, v.numel(), *found.shape[2:]) + v.reshape(-1, 1, 1)

    return part


def covered(reach: Reach, margin: int, dilation: int, lags: int) -> slice:
    """What the lags of a reach cover of the surroundings, along one axis."""
    first = margin - dilation * reach.offsets[-1]
    return slice(first + reach.positions[0], first + reach.positions[-1] + dilation * (lags - 1) + 1)
