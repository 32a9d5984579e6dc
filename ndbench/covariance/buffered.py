"""The definition a few images at a time: their patches lie in one reused buffer, small enough for a cache.

What is fresh from the system costs more than the arithmetic on it, so these two functions write into buffers where
autograd would want tensors of its own. They serve where nothing is recorded: `unrecorded` tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import Axis, axes

ENTRIES = 2**20
"""Of the buffer, 4 MiB in float32: enough pixels to outweigh F x F sums, few enough for a cache of the last level."""

LARGE = 256
"""From this order on, sums of one group at a time, and only of blocks that meet the upper triangle."""

BLOCKS = 4
"""Of rows in a triangle of large order: 10 of 16 products of blocks are computed."""


@dataclass(frozen=True)
class Meeting:
    """An offset t = i kw + j, the outputs at which it lies inside the image, and the pixels that it reads there."""

    offset: int
    outputs: tuple[slice, slice]
    pixels: tuple[slice, slice]


def unrecorded(*tensors: Tensor) -> bool:
    """Whether the tensors lie on a CPU and no graph, tangent, map or compiler follows what is done to them."""
    if torch.compiler.is_compiling() or forward_ad._current_level >= 0:
        return False
    recording = torch.is_grad_enabled()
    return all(
        t.device.type == "cpu"
        and type(t) in (Tensor, torch.nn.Parameter)
        and not torch._C._functorch.is_functorch_wrapped_tensor(t)
        and not (recording and t.requires_grad)
        for t in tensors
    )


def buffered(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the rows of the patch matrix, as `im2col`: products of centered patches.

    The mean comes first, from the sum of all images. Of products of a large order only
    the blocks of one triangle are computed, M F^2 (1 + 1 / BLOCKS) flops.

    Args:
        x: input, shape (N, C, H, W), on a CPU, of which nothing is recorded.
        patches: which patches, and their blocks.

    Returns:
        mean (F,) and covariance (F, F) of pooled groups, or (G, F) and (G, F, F) of separate ones, in x's type. The
        covariance is exactly symmetric.
    """
    rows, means = rows_in_group(x, patches), by_group(column_sums(x, patches), x, patches)
    mean = (means.mean(0) / rows if patches.pooled else means / rows).to(x.dtype)
    G, F = means.shape
    sums = x.new_zeros(1 if patches.pooled and F >= LARGE else G, F, F)
    for columns in filled(x, by_column(mean, x, patches), patches):
        add_products(sums, by_group(columns, x, patches))
    cov = sums.sum(0) / (G * rows) if patches.pooled else sums / rows
    return mean, cov.triu() + cov.triu(1).mT


def buffered_adjoint(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches) -> Tensor:
    """Gradient with respect to x, as `im2col_adjoint`: dX = 1 dmean / M + (X - 1 mean) (dcov + dcov^T) / M, folded.

    Args:
        x: input, shape (N, C, H, W), on a CPU, of which nothing is recorded.
        mean: of the patches, (F,) or (G, F).
        dmean: gradient with respect to the mean, of its shape.
        dcov: gradient with respect to the covariance, (F, F) or (G, F, F); only its symmetric part counts.
        patches: which patches, and their blocks.

    Returns:
        gradient with respect to x, of its shape and in its layout of memory.
    """
    G, F = patches.groups(x.shape[1]), mean.shape[-1]
    M = rows_in_group(x, patches) * (G if patches.pooled else 1)
    Gs = ((dcov + dcov.mT) / M).reshape(-1, F, F).expand(G, F, F)
    v = (dmean / M).reshape(-1, F, 1).expand(G, F, 1)
    reads = [readers(axis) for axis in axes(patches, x.shape[2], x.shape[3])]
    once = max(map(max, reads)) <= 1
    gradient = torch.empty_like(x) if once and min(map(min, reads)) == 1 else torch.zeros_like(x)
    found, begin = None, 0
    for columns in filled(x, by_column(mean, x, patches), patches):
        found = torch.empty_like(columns) if found is None else found[:, : columns.shape[1]]
        for part, out, weights, constant in zip(
            by_group(columns, x, patches), by_group(found, x, patches), Gs, v, strict=True
        ):
            torch.addmm(constant, weights, part, out=out)
        end = begin + columns.shape[1] // outputs_of(x, patches)
        put_back(gradient[begin:end], found, patches, once=once)
        begin = end
    return gradient


def column_sums(x: Tensor, patches: Patches) -> Tensor:
    """1^T X, (C K,) in float64: what each offset reads of the sum of all images."""
    image = x.sum(0).double()
    sums = image.new_zeros(x.shape[1], patches.offsets)
    for m in meetings(patches, *x.shape[2:]):
        sums[:, m.offset] = image[(..., *m.pixels)].sum((1, 2))
    return sums.flatten()


def filled(x: Tensor, shift: Tensor, patches: Patches) -> Iterator[Tensor]:
    """X^T - shift of a few images at a time, (C K, n Ho Wo), always in the same memory.

    Args:
        x: input, shape (N, C, H, W).
        shift: subtracted from each column of X, (C K,).
        patches: which patches.
    """
    channels, K, count = x.shape[1], patches.offsets, outputs_of(x, patches)
    at_once = min(len(x), max(1, ENTRIES // (channels * K * count)))
    buffer = x.new_empty(channels, K, at_once, *patches.output_size(*x.shape[2:]))
    shifts = shift.view(channels, K, 1, 1, 1)
    # zeros of the padding, which stay from one filling to the next
    buffer.copy_(-shifts)
    for images in torch.split(x, at_once):
        n = len(images)
        for m in meetings(patches, *x.shape[2:]):
            pixels = images[(..., *m.pixels)].transpose(0, 1)
            torch.sub(pixels, shifts[:, m.offset], out=buffer[(slice(None), m.offset, slice(n), *m.outputs)])
        yield buffer.view(channels * K, -1)[:, : n * count]


def put_back(gradient: Tensor, columns: Tensor, patches: Patches, *, once: bool) -> None:
    """Write the columns (C K, n Ho Wo) to the pixels that they were taken from, or add them where those have several.

    Args:
        gradient: of n images, (n, C, H, W).
        columns: gradient with respect to X^T.
        patches: which patches.
        once: whether no pixel is in more than one patch.
    """
    size = gradient.shape[2:]
    parts = columns.view(gradient.shape[1], patches.offsets, len(gradient), *patches.output_size(*size))
    for m in meetings(patches, *size):
        pixels = gradient[(..., *m.pixels)]
        values = parts[(slice(None), m.offset, slice(None), *m.outputs)].transpose(0, 1)
        if once:
            pixels.copy_(values)
        else:
            pixels.add_(values)


def add_products(sums: Tensor, parts: Tensor) -> None:
    """Add X_g^T X_g to sums (G, F, F), or all of them to (1, F, F), from the groups' columns (G, F, M).

    Below the diagonal blocks of a large order nothing is added.
    """
    G, F, _ = parts.shape
    if F < LARGE:
        torch.baddbmm(sums, parts, parts.mT, out=sums)
        return
    step = -(-F // BLOCKS)
    for part, total in zip(parts, sums.expand(G, F, F), strict=True):
        for first in range(0, F, step):
            rows = total[first : first + step, first:]
            torch.addmm(rows, part[first : first + step], part[first:].mT, out=rows)


def outputs_of(x: Tensor, patches: Patches) -> int:
    """The number of patches in an image, Ho Wo."""
    height, width = patches.output_size(x.shape[2], x.shape[3])
    return height * width


def rows_in_group(x: Tensor, patches: Patches) -> int:
    """The number of rows of one group, N Ho Wo."""
    return len(x) * outputs_of(x, patches)


def by_group(columns: Tensor, x: Tensor, patches: Patches) -> Tensor:
    """A view (G, F, ...) of what belongs to each column of X, (C K, ...)."""
    groups = patches.groups(x.shape[1])
    if patches.grouping == "interleaved":
        return columns.view(-1, groups, *columns.shape[1:]).transpose(0, 1)
    return columns.view(groups, -1, *columns.shape[1:])


def by_column(values: Tensor, x: Tensor, patches: Patches) -> Tensor:
    """The values (F,) or (G, F) for each column of X, (C K,): what `by_group` undoes."""
    spread = values.reshape(-1, values.shape[-1]).expand(patches.groups(x.shape[1]), -1)
    return (spread.mT if patches.grouping == "interleaved" else spread).flatten()


@lru_cache(maxsize=256)
def meetings(patches: Patches, height: int, width: int) -> tuple[Meeting, ...]:
    """Where each offset of a patch meets an image; offsets that never do are left out."""
    rows, columns = axes(patches, height, width)
    found = []
    for i, j in product(range(rows.kernel), range(columns.kernel)):
        windows = rows.window(i, i), columns.window(j, j)
        if all(windows):
            outputs = reached(rows, i), reached(columns, j)
            pixels = slice_of(windows[0]), slice_of(windows[1])
            found.append(Meeting(i * columns.kernel + j, outputs, pixels))
    return tuple(found)


def slice_of(positions: range) -> slice:
    """The same positions as an index."""
    return slice(positions.start, positions.stop, positions.step)


def reached(axis: Axis, offset: int) -> slice:
    """The outputs at which an offset lies inside the image."""
    window = axis.window(offset, offset)
    first = (window.start + axis.padding - axis.dilation * offset) // axis.stride
    return slice(first, first + len(window))


@lru_cache(maxsize=256)
def readers(axis: Axis) -> tuple[int, ...]:
    """How many offsets read each position."""
    windows = [axis.window(i, i) for i in range(axis.kernel)]
    return tuple(sum(r in window for window in windows) for r in range(axis.length))
