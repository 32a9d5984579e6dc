"""The definition a few images at a time: their patches lie in one reused buffer, small enough for a cache.

What is fresh from the system costs more than the arithmetic on it, so these two functions write into buffers where
autograd would want tensors of its own. They serve where nothing is recorded: `ndbench.products.unrecorded` tells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import Axis, axes
from ndbench.products import product as matrix_product

ENTRIES = 2**19
"""Of the buffer, 2 MiB in float32."""

GROWTH = 4
"""Times as many at most for columns of an input of twice that: fewer, larger operations share processors better."""

FEWEST = 3
"""Images in a buffer, whose pixels then lie side by side; where not so many fit, it holds one."""

WAYS = 12
"""Images read at once where they are put side by side: lines so far apart compete for the same places of a cache."""

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
    mean, rows = mean_of(x, patches), rows_in_group(x, patches)
    G, F = patches.groups(x.shape[1]), mean.shape[-1]
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
        gradient with respect to x, of its shape, and with channels last in memory where x has them there.
    """
    G, F = patches.groups(x.shape[1]), mean.shape[-1]
    M = rows_in_group(x, patches) * (G if patches.pooled else 1)
    Gs = ((dcov + dcov.mT) / M).reshape(-1, F, F).expand(G, F, F)
    last = x.is_contiguous(memory_format=torch.channels_last)
    gradient = torch.empty_like(x, memory_format=torch.channels_last if last else torch.contiguous_format)
    constant = summed_offsets(by_column(dmean / M, x, patches), x, patches)
    pieces = torch.split(gradient, images_at_once(x, patches, entries_for(x)))
    found, pixels = torch.empty(0), x.new_empty(pieces[0].numel())
    for columns, piece in zip(filled(x, by_column(mean, x, patches), patches), pieces, strict=True):
        found = found if found.shape == columns.shape else torch.empty_like(columns)
        multiply(Gs, by_group(columns, x, patches), by_group(found, x, patches))
        put_back(piece, found, constant, pixels[: piece.numel()], patches)
    return gradient


def mean_of(x: Tensor, patches: Patches) -> Tensor:
    """The mean of the rows, (F,) or (G, F)."""
    means = by_group(column_sums(x, patches), x, patches) / rows_in_group(x, patches)
    return (means.mean(0) if patches.pooled else means).to(x.dtype)


def column_sums(x: Tensor, patches: Patches) -> Tensor:
    """1^T X, (C K,) in float64: what each offset reads of the sum of all images."""
    image = image_sum(x).double()
    sums = image.new_zeros(x.shape[1], patches.offsets)
    for m in meetings(patches, *x.shape[2:]):
        sums[:, m.offset] = image[(..., *m.pixels)].sum((1, 2))
    return sums.flatten()


def image_sum(x: Tensor) -> Tensor:
    """The sum of all images, (C, H, W), in the order of memory: across it PyTorch takes many times as long."""
    if x.is_contiguous(memory_format=torch.channels_last):
        return x.movedim(1, -1).sum(0).movedim(-1, 0)
    return x.sum(0)


def entries_for(x: Tensor) -> int:
    """Entries of the buffer of columns: of a large input up to half as many as it has."""
    return max(ENTRIES, min(GROWTH * ENTRIES, x.numel() // 2))


def images_at_once(x: Tensor, patches: Patches, entries: int) -> int:
    """The images whose patches fill a buffer of so many entries, at least `FEWEST`, or 1."""
    most = entries // (x.shape[1] * patches.offsets * outputs_of(x, patches))
    return min(len(x), most) if most >= FEWEST else 1


def filled(x: Tensor, shift: Tensor, patches: Patches) -> Iterator[Tensor]:
    """X^T - shift of a few images at a time, (C K, Ho Wo n), always in the same memory.

    Args:
        x: input, shape (N, C, H, W).
        shift: subtracted from each column of X, (C K,).
        patches: which patches.
    """
    channels, K, outputs = x.shape[1], patches.offsets, patches.output_size(*x.shape[2:])
    at_once = images_at_once(x, patches, entries_for(x))
    buffer = x.new_empty(channels, K, *outputs, 0)
    memory, turned = x.new_empty(shift.numel() * outputs_of(x, patches) * at_once), x.new_empty(x[:at_once].numel())
    shifts = shift.view(channels, K, 1, 1, 1)
    for images in torch.split(x, at_once):
        if len(images) != buffer.shape[-1]:
            buffer = memory[: len(memory) // at_once * len(images)].view(channels, K, *outputs, len(images))
            # zeros of the padding, which stay from one filling to the next
            buffer.copy_(-shifts)
        pixels = turned_like(images, turned[: images.numel()])
        # images last: the runs of a small image are short
        for some, there in zip(torch.split(images, WAYS), torch.split(pixels, WAYS, -1), strict=True):
            there.copy_(some.permute(1, 2, 3, 0))
        for m in meetings(patches, *x.shape[2:]):
            at = (slice(None), m.offset, *m.outputs)
            torch.sub(pixels[(slice(None), *m.pixels)], shifts[:, m.offset], out=buffer[at])
        yield buffer.view(channels * K, -1)


def summed_offsets(values: Tensor, x: Tensor, patches: Patches) -> Tensor:
    """The sum over its places in the patches of the values (C K,), for each pixel of an image, (C, H, W)."""
    image, values = values.new_zeros(x.shape[1:]), values.view(x.shape[1], -1, 1, 1)
    for m in meetings(patches, *x.shape[2:]):
        image[(slice(None), *m.pixels)] += values[:, m.offset]
    return image


def put_back(piece: Tensor, columns: Tensor, constant: Tensor, memory: Tensor, patches: Patches) -> None:
    """Write into each pixel its constant and the sum of its places in the columns.

    Args:
        piece: gradient of n images, (n, C, H, W).
        columns: gradient with respect to X^T, (C K, Ho Wo n), but for what all its columns have in common.
        constant: the part of that in each pixel, (C, H, W).
        memory: for as many values as the piece has.
        patches: which patches.
    """
    images, channels, *size = piece.shape
    pixels = turned_like(piece, memory).copy_(constant[..., None])
    parts = columns.view(channels, patches.offsets, *patches.output_size(*size), images)
    for m in meetings(patches, *size):
        pixels[(slice(None), *m.pixels)] += parts[(slice(None), m.offset, *m.outputs)]
    piece.copy_(pixels.permute(3, 0, 1, 2))


def turned_like(images: Tensor, memory: Tensor) -> Tensor:
    """The memory as pixels (C, H, W, n), in the order in which images hold them."""
    n, channels, height, width = images.shape
    if images.is_contiguous(memory_format=torch.channels_last):
        return memory.view(height, width, channels, n).permute(2, 0, 1, 3)
    return memory.view(channels, height, width, n)


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
            total[first : first + step, first:] += matrix_product(part[first : first + step], part[first:].mT)


def multiply(weights: Tensor, parts: Tensor, out: Tensor) -> None:
    """Write the products of the weights (G, F, F) and the groups' columns (G, F, M) into out."""
    if parts.shape[1] < LARGE:
        torch.bmm(weights, parts, out=out)
        return
    for matrix, part, found in zip(weights, parts, out, strict=True):
        found.copy_(matrix_product(matrix, part))


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
