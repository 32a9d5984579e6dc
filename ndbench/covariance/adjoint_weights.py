"""The gradients of mean and covariance, by classes of channels and offsets of patches."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches


@dataclass(frozen=True)
class Upstream:
    """The linear map from patches to gradients of pixels: column (c, t) gets v_ct + sum of y_c't' W[t, t'][c', c].

    With Gs = (dcov + dcov^T) / M and X - mean = (X - s) - (mean - s), the gradient of a row of patches is

        dX = dmean / M + (X - mean) Gs = v + (X - s) Gs,    v = dmean / M - (mean - s) Gs.

    The shift s, a channel's mean, cancels; without it large means would cost digits.

    Attributes:
        patches: which patches, and their blocks.
        classes: the classes of channels.
        shift: s of each channel, (C,).
        constant: v by classes, (A, m, kh, kw).
        weights: W by offsets t and t' and the class at t, (kh, kw, kh, kw, A, m, m); A is 1 where all classes share it.
    """

    patches: Patches
    classes: Classes
    shift: Tensor
    constant: Tensor
    weights: Tensor

    @classmethod
    def of(cls, x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches) -> "Upstream":
        """Read the gradients dmean and dcov with respect to the mean and the covariance of x."""
        M, F = rows_of(x, patches), dcov.shape[-1]
        classes = Classes.of(patches, x.shape[1], x.device)
        shift = x.detach().mean((0, 2, 3))
        Gs = ((dcov + dcov.mT) / M).reshape(-1, F, F)
        group, column = (index.to(x.device) for index in patches.columns(x.shape[1]))
        shifts = shift.new_zeros(patches.groups(x.shape[1]), F).index_put((group, column), shift[:, None])
        centers = mean - shifts
        v = dmean / M - (centers @ Gs[0] if patches.pooled else (centers[:, None] @ Gs)[:, 0])
        constant = v[group, column][classes.members].reshape(*classes.members.shape, *patches.kernel_size)
        weights = by_offsets(Gs, patches, classes)
        weights = weights.reshape(*patches.kernel_size, *patches.kernel_size, *weights.shape[2:])
        return cls(patches, classes, shift, constant, weights)


def rows_of(x: Tensor, patches: Patches) -> int:
    """The number M of rows of the patch matrix, of all groups if pooled."""
    rows, columns = patches.output_size(x.shape[2], x.shape[3])
    return len(x) * rows * columns * (patches.groups(x.shape[1]) if patches.pooled else 1)


def by_offsets(Gs: Tensor, patches: Patches, classes: Classes) -> Tensor:
    """Gs between the class at t and the one it meets at t', (K, K, A, m, m); 0 where it meets none."""
    same = patches.pooled and patches.grouping == "channel"
    count = 1 if same else len(classes.members)
    group = torch.zeros_like(classes.group) if patches.pooled else classes.group
    column = classes.position.movedim(-1, 0)
    t = torch.arange(patches.offsets, device=Gs.device)
    distance = t - t[:, None]
    met = torch.where((distance >= 0)[..., None], classes.partner[distance.abs()], inverse(classes)[distance.abs()])
    # -1, the class that is not there, would be read as the last one
    other = column[t[None, :, None], met[..., :count].clamp(min=0)]
    weights = Gs[group.T[:, None, :count, None, None], other[..., None], column[:, None, :count, None]]
    if all(classes.meets):
        return weights
    meets = torch.tensor(classes.meets, device=Gs.device)[distance.abs()]
    return torch.where(meets[..., None, None, None], weights, 0)


def inverse(classes: Classes) -> Tensor:
    """The class at offset t that a class at offset t + e meets, (K, A) for e = 0, ..., K - 1."""
    return classes.partner.argsort(-1)


def sources(y: Tensor, classes: Classes, distance: int) -> Tensor:
    """Put classes (A, ...) in the order of those met at this distance between offsets, of either sign."""
    if classes.stays[abs(distance)]:
        return y
    return y[classes.partner[distance] if distance >= 0 else inverse(classes)[-distance]]
