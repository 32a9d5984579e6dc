"""From sums of products to the covariance: the shift's linear terms, both triangles, pooling."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import Axis, axes


@dataclass(frozen=True)
class Sums:
    """Sums over the images of y, which is x - shift inside the image and 0 outside.

    Attributes:
        images: the number N of images.
        shift: value subtracted from each channel, (A, m).
        total: sum of y over the images, (A, H, W, m), in float64.
        products: sums of products of y, in float64; what each entry holds is the algorithm's choice.
    """

    images: int
    shift: Tensor
    total: Tensor
    products: Tensor


def accumulate(x: Tensor, classes: Classes, products: Callable[[Tensor], Tensor]) -> Sums:
    """Add up y and products(y), a few images at a time.

    The gradient with respect to the shift is zero, since no covariance depends on it, so the shift is detached.
    """
    A, m = classes.members.shape
    shift = x.detach().mean((0, 2, 3))[classes.members]
    total = x.new_zeros((A, *x.shape[2:], m), dtype=torch.float64)
    summed = x.new_zeros((), dtype=torch.float64)
    for images in torch.split(x, images_at_a_time(x, m)):
        y = images[:, classes.members].permute(1, 0, 3, 4, 2).contiguous() - shift[:, None, None, None]
        total = total + y.sum(1, dtype=torch.float64)
        summed = summed + products(y)
    return Sums(len(x), shift.double(), total, summed)


def images_at_a_time(x: Tensor, m: int) -> int:
    """Images whose copies stay in a processor's cache, with pixels enough to outweigh the sums of m x m products."""
    if x.is_cuda:
        return len(x)
    pixels = max(2**19 // x.shape[1], 16 * m)
    return -(-pixels // (x.shape[2] * x.shape[3]))


def covariance(S: Tensor, pairs: Tensor, sums: Sums, classes: Classes, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance from the sums of products S over one triangle.

    For the columns (c, t) and (c', t') of a pair of offsets, with M = N Ho Wo, T[c; t, t'] the sum of y over the window
    of the pair and cnt the window's size times N,

        ybar_ct = T[c; t, t] / M,    mbar_t = cnt(t, t) / M,    mean = ybar_ct + s_c mbar_t,
        cov = S / M - ybar_ct ybar_c't' + s_c' (T[c; t, t'] / M - ybar_ct mbar_t')
              + s_c (T[c'; t', t] / M - ybar_c't' mbar_t) + s_c s_c' (cnt M - cnt_t cnt_t') / M^2.

    Args:
        S: sums of products of class a at offset t and its partner at t', (P, A, m, m).
        pairs: the offsets t <= t', (2, P).
        sums: sums of y, and the shift.
        classes: the classes of channels.
        patches: which patches, and their blocks.

    Returns:
        mean (F,) and covariance (F, F) of pooled groups, or (G, F) and (G, F, F) of separate ones, in float64. The
        covariance is exactly symmetric.
    """
    rows, columns = axes(patches, *sums.total.shape[1:3])
    M = rows.outputs * columns.outputs
    T = window_sums(sums.total, rows, columns) / (sums.images * M)
    count = window_counts(rows, columns).to(T.device)
    ybar, mbar, s = T.diagonal().movedim(-1, 0), count.diagonal().double() / M, sums.shift
    t, u = pairs
    partner = classes.partner[u - t]
    pair = torch.arange(len(t), device=t.device)[:, None]
    left = T[t, u] - ybar[t] * mbar[u, None, None]
    right = (T[u, t] - ybar[u] * mbar[t, None, None])[pair, partner]
    variance = (count[t, u] * M - count.diagonal()[t] * count.diagonal()[u]).double() / M**2
    # the terms beside S / M, in one product: each of them alone would be as large as S
    lefts = torch.stack([-ybar[t], left + s * variance[:, None, None], s.expand_as(right)], -1)
    rights = torch.stack([ybar[u][pair, partner], s[partner], right], -1)
    values = torch.baddbmm(
        S.flatten(0, 1), lefts.flatten(0, 1), rights.flatten(0, 1).mT, beta=1 / (sums.images * M)
    ).view_as(S)
    inside, shifts = by_group(ybar, classes), by_group(s * mbar[:, None, None], classes)
    if patches.pooled:
        return pool(inside, shifts, place(values, pairs, classes, pooled=True)[0] / len(inside))
    return inside + shifts, place(values, pairs, classes, pooled=False)


def window_sums(total: Tensor, rows: Axis, columns: Axis) -> Tensor:
    """T[t, t', a, m]: the sum of total over the positions of offset t where t' too lies inside the image."""
    R, Q = (indicators(axis).to(total) for axis in (rows, columns))
    T = torch.einsum("ahwm,jvw->ahmjv", total, Q)
    return torch.einsum("ahmjv,iuh->ijuvam", T, R).flatten(2, 3).flatten(0, 1)


def indicators(axis: Axis) -> Tensor:
    """Whether the position r is one of offset i, with offset i' too inside the image, (k, k, length)."""
    r, offset = torch.arange(axis.length), torch.arange(axis.kernel)
    i, other = offset[:, None, None], offset[None, :, None]
    output = (r + axis.padding - axis.dilation * i).div(axis.stride, rounding_mode="floor")
    sampled = (r + axis.padding - axis.dilation * i) % axis.stride == 0
    reached = r + axis.dilation * (other - i)
    return sampled & (output >= 0) & (output < axis.outputs) & (reached >= 0) & (reached < axis.length)


def window_counts(rows: Axis, columns: Axis) -> Tensor:
    """The integer sizes of the windows of (t, t') in one image, (K, K)."""
    R, Q = (indicators(axis).long().sum(-1) for axis in (rows, columns))
    return torch.einsum("iu,jv->ijuv", R, Q).flatten(2, 3).flatten(0, 1)


def by_group(means: Tensor, classes: Classes) -> Tensor:
    """Put the means of classes at each offset (K, A, m) into their group and column, (G, F)."""
    places = classes.group.T[..., None], classes.position.movedim(-1, 0)
    return means.new_zeros(classes.groups, classes.width).index_put(places, means)


def place(values: Tensor, pairs: Tensor, classes: Classes, *, pooled: bool) -> Tensor:
    """Put each value into the group of its class and offset, or into one for all, and its columns; mirror the triangle.

    Values of one place are added up.
    """
    t, u = pairs
    column = classes.position.movedim(-1, 0)
    # both triangles hold the pairs t = t', so each counts half
    values = values * torch.where(t == u, 0.5, 1.0)[:, None, None, None].to(values)
    row = column[t][..., None]
    other = column[u][torch.arange(len(t), device=t.device)[:, None], classes.partner[u - t]][..., None, :]
    group = torch.zeros_like(classes.group) if pooled else classes.group
    at = group.T[t][..., None, None], row, other
    groups = 1 if pooled else classes.groups
    triangle = values.new_zeros(groups, classes.width, classes.width).index_put(at, values, accumulate=True)
    return triangle + triangle.mT


def pool(inside: Tensor, shifts: Tensor, within: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and covariance of groups of equal size taken together: within the groups plus between them.

    The mean of each group is inside + shifts. The two are centered apart: a difference of their rounded sums would
    carry the rounding of large shifts into the covariance, to first order.

    Args:
        inside: first part of the groups' means, (G, F).
        shifts: second part.
        within: mean of the groups' covariances, (F, F).
    """
    relative = shifts - shifts[0]
    apart = inside - inside.mean(0) + relative - relative.mean(0)
    between = apart.mT @ apart
    # no product promises the symmetry that their sum has
    return (inside + shifts).mean(0), within + (between + between.mT) / (2 * len(apart))
