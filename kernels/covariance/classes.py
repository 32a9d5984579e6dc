"""Classes of channels, as tables for kernels: their channels, their partners, and the places of their columns."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.kernels.tables import kept_on_device


@dataclass(frozen=True)
class ClassTables:
    """The A classes of m channels of `ndbench.covariance.classes`, in the order of their first channels.

    Class a holds the channels a stride + i step.

    Attributes:
        count: A.
        m: channels of a class.
        units: A', which is 1 where all classes are added up as rows, or share what belongs to them: blocks that are
            pooled. Otherwise it is A.
        stride: from the first channel of one class to that of the next.
        step: from one channel of a class to the next.
        sources: the class that a class meets at a distance of 1 - K, ..., K - 1 between offsets, (2 K - 1, A), in
            int32, as are the next two.
        group: of a class at an offset, in the covariance that is computed first, (A', K).
        position: the index of a column in its group, (A', m, K).
        members: the channels of each class, (A, m), in int64.
    """

    count: int
    m: int
    units: int
    stride: int
    step: int
    sources: Tensor
    group: Tensor
    position: Tensor
    members: Tensor

    @classmethod
    @kept_on_device
    def of(cls, patches: Patches, channels: int, device: torch.device) -> "ClassTables":
        """Those of so many channels."""
        classes = Classes.of(patches, channels, torch.device("cpu"))
        count, m = classes.members.shape
        order = classes.members[:, 0].argsort()
        place = order.argsort()
        members = classes.members[order]
        # -1, the class that is not there, stays
        partner = torch.where(classes.partner < 0, -1, place[classes.partner])[:, order]
        units = 1 if patches.pooled and patches.grouping == "channel" else count
        return cls(
            count,
            m,
            units,
            stride=int(members[1, 0]) if count > 1 else m,
            step=int(members[0, 1] - members[0, 0]) if m > 1 else 1,
            sources=torch.cat([partner.argsort(-1)[1:].flip(0), partner]).int().to(device),
            group=classes.group[order][:units].int().to(device),
            position=classes.position[order][:units].int().contiguous().to(device),
            members=members.to(device),
        )
