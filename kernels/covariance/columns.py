"""Columns of the patch matrix, as tables for kernels: which pixel of which channel each one holds."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.covariance.assembly import window_counts
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes
from ndbench.kernels.tables import kept_on_device


@dataclass(frozen=True)
class Columns:
    """The F columns of each of G groups; with channel grouping by offset, then channel, so that channels lie together.

    Attributes:
        presence: the part of its rows that lie inside the image, (G, F) in float32.
        places: channel, row and column of its pixel in the patch whose corner is (0, 0), (3, G, F) in int32.
        output: its index in the covariance, the same in every group, (F,) in int32.
    """

    presence: Tensor
    places: Tensor
    output: Tensor

    @classmethod
    @kept_on_device
    def of(cls, patches: Patches, channels: int, height: int, width: int, device: torch.device) -> "Columns":
        """Those of the patches of images of this size."""
        group, column = patches.columns(channels)
        kw, K = patches.kernel_size[1], patches.offsets
        at = (group * (channels * K // patches.groups(channels)) + column).flatten().argsort()
        # at: c K + t of every column, group after group
        held = at.view(patches.groups(channels), -1)
        F = held.shape[1]
        output = torch.arange(F)
        if patches.grouping == "channel":
            output = output.view(-1, K).T.flatten()
        held = held[:, output]
        channel, offset = held // K, held % K
        rows, cols = axes(patches, height, width)
        presence = window_counts(rows, cols).diagonal()[offset].double() / (rows.outputs * cols.outputs)
        (dh, dw), (ph, pw) = patches.dilation, patches.padding
        places = torch.stack([channel, offset // kw * dh - ph, offset % kw * dw - pw])
        return cls(presence.float().to(device), places.int().to(device), output.int().to(device))

    @property
    def channel(self) -> Tensor:
        """The channel of a column, (G, F) in int32."""
        return self.places[0]

    def shifts(self, means: Tensor, patches: Patches) -> Tensor:
        """What to subtract from each column: its mean, if its channels have these, (G, F), or (1, F) if pooled."""
        shifts = means.index_select(0, self.channel.flatten()).view_as(self.presence) * self.presence
        return shifts.mean(0, keepdim=True) if patches.pooled else shifts
