"""The definition for images whose channels are neighbours in memory: patches are rows, and no image is turned around.

As in `ndbench.covariance.buffered`, whose columns are runs over images, a few images fill one reused buffer.
"""

from collections.abc import Iterator

import torch
from torch import Tensor

from ndbench.covariance import buffered
from ndbench.covariance.buffered import by_column, images_at_once, meetings, outputs_of, rows_in_group, summed_offsets
from ndbench.covariance.patches import Patches

SHORTEST = 16
"""Channels of a block from which its runs in memory are long enough to be copied one by one: a line of a cache."""


def has_runs(x: Tensor, patches: Patches) -> bool:
    """Whether the channels of a block are long runs of memory, and its products small enough to be taken at once."""
    block = patches.block or x.shape[1]
    return (
        patches.grouping == "channel"
        and block >= SHORTEST
        and block * patches.offsets < buffered.LARGE
        and x.is_contiguous(memory_format=torch.channels_last)
    )


def by_rows(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance, as `buffered`, of an input that `has_runs`."""
    mean, count = buffered.mean_of(x, patches), rows_in_group(x, patches)
    G, F = patches.groups(x.shape[1]), mean.shape[-1]
    sums = x.new_zeros(1 if patches.pooled else G, F, F)
    for rows in filled_rows(x, mean, patches):
        parts = rows.view(len(sums), -1, F)
        torch.baddbmm(sums, parts.mT, parts, out=sums)
    cov = swapped(sums, patches.offsets, F // patches.offsets)
    cov = cov[0] / (G * count) if patches.pooled else cov / count
    return mean, cov.triu() + cov.triu(1).mT


def by_rows_adjoint(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches) -> Tensor:
    """Gradient with respect to x, as `buffered_adjoint`, of an input that `has_runs`."""
    G, F = patches.groups(x.shape[1]), mean.shape[-1]
    M = rows_in_group(x, patches) * (G if patches.pooled else 1)
    Gs = swapped((dcov + dcov.mT) / M, F // patches.offsets, patches.offsets).reshape(-1, F, F)
    constant = runs(summed_offsets(by_column(dmean / M, x, patches), x, patches)[None], G)
    gradient, found = torch.empty_like(x, memory_format=torch.channels_last), x.new_empty(0)
    pieces = torch.split(gradient, images_at_once(x, patches, buffered.ENTRIES))
    for rows, piece in zip(filled_rows(x, mean, patches), pieces, strict=True):
        found = found if found.shape == rows.shape else torch.empty_like(rows)
        torch.bmm(rows.view(len(Gs), -1, F), Gs, out=found.view(len(Gs), -1, F))
        put_back(runs(piece, G), found, constant, patches)
    return gradient


def filled_rows(x: Tensor, mean: Tensor, patches: Patches) -> Iterator[Tensor]:
    """X - 1 mean of a few images at a time, (G, n Ho Wo, K B), offsets first, always in the same memory."""
    G, K = patches.groups(x.shape[1]), patches.offsets
    shifts = by_column(mean, x, patches).view(G, 1, 1, 1, -1, K).transpose(-1, -2)
    at_once, outputs = images_at_once(x, patches, buffered.ENTRIES), patches.output_size(*x.shape[2:])
    memory, buffer = x.new_empty(at_once * outputs_of(x, patches) * shifts.numel()), x.new_empty(G, 0)
    for images in torch.split(x, at_once):
        if len(images) != buffer.shape[1]:
            buffer = memory[: len(memory) // at_once * len(images)].view(G, len(images), *outputs, K, -1)
            # zeros of the padding, which stay from one filling to the next
            buffer.copy_(-shifts)
        pixels = runs(images, G)
        for m in meetings(patches, *x.shape[2:]):
            at = (..., *m.outputs, m.offset, slice(None))
            torch.sub(pixels[(..., *m.pixels, slice(None))], shifts[..., m.offset, :], out=buffer[at])
        yield buffer.view(G, len(images) * outputs_of(x, patches), -1)


def put_back(pixels: Tensor, rows: Tensor, constant: Tensor, patches: Patches) -> None:
    """Write into each pixel (G, n, H, W, B) its constant and the sum of its places in the rows."""
    G, n, *size, block = pixels.shape
    pixels.copy_(constant)
    parts = rows.view(G, n, *patches.output_size(*size), patches.offsets, block)
    for m in meetings(patches, *size):
        pixels[(..., *m.pixels, slice(None))] += parts[(..., *m.outputs, m.offset, slice(None))]


def runs(images: Tensor, groups: int) -> Tensor:
    """A view (G, n, H, W, B) of images (n, C, H, W)."""
    n, channels, height, width = images.shape
    return images.view(n, groups, channels // groups, height, width).permute(1, 0, 3, 4, 2)


def swapped(A: Tensor, first: int, second: int) -> Tensor:
    """Matrices whose rows and columns are numbered (first, second), numbered (second, first)."""
    for _ in range(2):
        A = A.reshape(*A.shape[:-1], first, second).transpose(-1, -2).flatten(-2).mT
    return A
