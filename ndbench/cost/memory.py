"""Bytes that a covariance or a root holds on a CPU at least: sums of what is certainly alive at the same time.

They are lower bounds of `ndbench.cost.counting.peak_memory`, forward and unrecorded but for "im2col": what an algorithm
holds beside them for a moment comes on top. With S = N Ho Wo C K values of the patch matrix, g matrices of order F that
are returned (1 if pooled, else G), Q pieces of the lags, P pairs of offsets, A classes of m channels, and numbers of e
bytes:

    im2col      e max(2 S, S + 2 g F^2)        the patches before and after they are centered; then products
    buffered    e (buffer + max(images in it + sums, sums + 4 g F^2))    the triangle is mirrored at the end
    shifted     8 C H W + max(8 (3 P) A m^2, 8 (2 P) A m^2 + e n C (H W + Hp Wp))
    lagged      8 C H W + max(8 (Q + 3 P) A m^2, 8 (2 Q) A m^2 + e n C H W, 2 e n C H W)

In the last two n images are taken at a time, Hp x Wp with their padding; sums are in float64: first as multiplied, and
once more where they are put together; in the end as multiplied, with all their terms, and halved on the diagonal.

A root whose gradient is recorded holds so many matrices, D and what is kept for the gradient among them:

    newton_schulz           reverse 2 T + 2    autograd 3 T + 2
    minimax_*               reverse 2 T + 2    autograd 4 T + 1
    denman_beavers          reverse 3 T + 2    autograd 7 T + 1
    denman_beavers_plain                       autograd 2 T + 2
    spectral, "eigenbasis"  3
"""

import math
from collections.abc import Callable

import torch

from ndbench.cost.covariance import classes_of, order, pairs_of, rows
from ndbench.covariance.assembly import images_at_a_time
from ndbench.covariance.buffered import ENTRIES, FEWEST, LARGE
from ndbench.covariance.patches import Patches
from ndbench.covariance.work import LaggedWork, Shape


def im2col(shape: Shape, patches: Patches, itemsize: int = 4) -> int:
    """The definition with its patch matrix."""
    S = rows(shape, patches) * shape[1] * patches.offsets
    return itemsize * max(2 * S, S + 2 * returned(shape, patches))


def buffered(shape: Shape, patches: Patches, itemsize: int = 4) -> int:
    """The definition, a few images at a time."""
    images, channels, height, width = shape
    entries = rows(shape, patches) // images * channels * patches.offsets
    at_once = images_at_once(images, entries)
    F, matrices = order(shape, patches), returned(shape, patches)
    sums = F**2 if patches.pooled and F >= LARGE else patches.groups(channels) * F**2
    pixels = at_once * channels * height * width
    return itemsize * (at_once * entries + max(pixels + sums, sums + 4 * matrices))


def shifted(shape: Shape, patches: Patches, itemsize: int = 4) -> int:
    """One product for each pair of offsets."""
    A, m, _ = classes_of(shape, patches).product_shape
    padded = math.prod(length + 2 * p for length, p in zip(shape[2:], patches.padding, strict=True))
    sums = 8 * pairs_of(shape, patches) * A * m**2
    images = itemsize * together(shape, m) * shape[1] * (math.prod(shape[2:]) + padded)
    return 8 * math.prod(shape[1:]) + max(3 * sums, 2 * sums + images)


def lagged(shape: Shape, patches: Patches, itemsize: int = 4) -> int:
    """One product for each piece of each lag."""
    A, m, _ = classes_of(shape, patches).product_shape
    pieces, sums = (8 * n * A * m**2 for n in (LaggedWork.of(shape, patches).pieces, pairs_of(shape, patches)))
    images = itemsize * together(shape, m) * math.prod(shape[1:])
    return 8 * math.prod(shape[1:]) + max(pieces + 3 * sums, 2 * pieces + images, 2 * images)


FORWARD: dict[str, Callable[[Shape, Patches], int]] = {
    "im2col": im2col,
    "buffered": buffered,
    "shifted": shifted,
    "lagged": lagged,
}
"""Of the algorithms in PyTorch, by name, for an input in float32."""


def returned(shape: Shape, patches: Patches) -> int:
    """Entries of the covariances that are returned."""
    return (1 if patches.pooled else patches.groups(shape[1])) * order(shape, patches) ** 2


def images_at_once(images: int, entries: int) -> int:
    """Of whose patches, so many numbers each, the buffer has room for."""
    most = ENTRIES // entries
    return min(images, most) if most >= FEWEST else 1


def together(shape: Shape, m: int) -> int:
    """The images that `shifted` and `lagged` take at a time."""
    return min(shape[0], images_at_a_time(torch.empty(shape, device="meta"), m))


RECORDED: dict[tuple[str, str], tuple[int, int]] = {
    ("newton_schulz", "reverse"): (2, 2),
    ("newton_schulz", "autograd"): (3, 2),
    ("minimax_cubic", "reverse"): (2, 2),
    ("minimax_cubic", "autograd"): (4, 1),
    ("minimax_quintic", "reverse"): (2, 2),
    ("minimax_quintic", "autograd"): (4, 1),
    ("denman_beavers", "reverse"): (3, 2),
    ("denman_beavers", "autograd"): (7, 1),
    ("denman_beavers_plain", "autograd"): (2, 2),
    ("spectral", "autograd"): (0, 3),
    ("spectral", "lyapunov"): (0, 3),
}
"""Matrices held for each step, and besides, by method and adjoint; `EIGENBASIS` of that adjoint."""

EIGENBASIS = (0, 3)


def root(method: str, adjoint: str, steps: int, n: int, *, batch: int = 1, itemsize: int = 4) -> int:
    """What a root holds at least at the end of its forward pass, where a gradient is recorded.

    Args:
        method: as in `ndbench.inverse_sqrt`, but for SciPy's, as are steps and adjoint.
        adjoint: how it will be differentiated.
        steps: T.
        n: order of the matrices.
        batch: how many.
        itemsize: bytes of a number.
    """
    each, besides = EIGENBASIS if adjoint == "eigenbasis" else RECORDED[method, adjoint]
    return (each * steps + besides) * batch * n**2 * itemsize
