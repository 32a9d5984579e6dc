"""Channels that always share a group, so that both groupings are products of whole classes of channels."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import unset_fake_temporarily

from ndbench.covariance.patches import Patches


@dataclass(frozen=True)
class Classes:
    """The A classes of m channels whose columns fall into one group together, whatever the offset.

    With "channel" grouping the classes are the blocks. With "interleaved" grouping column c K + t falls into the group
    (c K + t) mod G, so the classes are the channels modulo G / gcd(K, G); two columns meet if
    (c - c') K = t' - t (mod G), which again depends on the classes and on t' - t alone: each class then
    meets exactly one class, the same for every pair of offsets of that distance, or none does.

    Attributes:
        members: the channels of each class, (A, m).
        group: the group of a class at an offset, (A, K).
        position: the index of a column in its group, (A, m, K).
        partner: the class at offset t + e that a class at offset t meets, (K, A) for e = 0, ..., K - 1; -1 for none.
        meets: for each distance e, whether columns that far apart share a group.
        stays: for each distance e, whether every class is its own partner.
        groups: the number G of groups.
        width: columns of a group, F.
    """

    members: Tensor
    group: Tensor
    position: Tensor
    partner: Tensor
    meets: tuple[bool, ...]
    stays: tuple[bool, ...]
    groups: int
    width: int

    @classmethod
    def of(cls, patches: Patches, channels: int, device: torch.device) -> "Classes":
        """The classes of so many channels."""
        # they follow from shapes: their values are known where those of fake tensors are not
        with unset_fake_temporarily():
            return cls._of(patches, channels, device)

    @classmethod
    def _of(cls, patches: Patches, channels: int, device: torch.device) -> "Classes":
        group, position = patches.columns(channels)
        groups = patches.groups(channels)
        count = len(set(group[:, 0].tolist()))
        members = group[:, 0].argsort(stable=True).view(count, -1)
        class_group = group[members[:, 0]]
        at = torch.full((patches.offsets, groups), -1)
        at.scatter_(1, class_group.T, torch.arange(count).expand(patches.offsets, count))
        partner = at[:, class_group[:, 0]]
        return cls(
            members=members.to(device),
            group=class_group.to(device),
            position=position[members].to(device),
            partner=partner.to(device),
            meets=tuple((partner >= 0).all(1).tolist()),
            stays=tuple((partner == torch.arange(count)).all(1).tolist()),
            groups=groups,
            width=position.numel() // groups,
        )

    @property
    def product_shape(self) -> tuple[int, int, int]:
        """The shape (A, m, m) of the products of all channels of two classes, for every class."""
        count, size = self.members.shape
        return count, size, size

    def partners(self, y: Tensor, distance: int) -> Tensor:
        """Put classes (A, ...) in the order of their partners at this distance between offsets."""
        # indexing would copy the classes even where each one is its own partner
        return y if self.stays[distance] else y[self.partner[distance]]
