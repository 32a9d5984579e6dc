"""Classes of channels, as tables for kernels: their channels, their partners, and the places of their columns."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from ndbench.covariance.adjoint_weights import inverse
from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches


@dataclass(frozen=True)
class ClassTables:
    """The A classes of m channels of `ndbench.covariance.classes`; the channels of a class are a progression.

    Attributes:
        count: A.
        m: channels of a class.
        units: A', which is 1 where all classes are added up as rows, or share what belongs to them: blocks that are
            pooled. Otherwise it is A.
        starts: the first channel of each class, (A,), in int32, as are the next three.
        sources: the class that a class meets at a distance of 1 - K, ..., K - 1 between offsets, (2 K - 1, A).
        group: of a class at an offset, in the covariance that is computed first, (A', K).
        position: the index of a column in its group, (A', m, K).
        step: from one channel of a class to the next.
        members: the channels of each class, (A, m), in int64.
    """

    count: int
    m: int
    units: int
    starts: Tensor
    sources: Tensor
    group: Tensor
    position: Tensor
    step: int
    members: Tensor

    @classmethod
    @lru_cache(maxsize=64)
    def of(cls, patches: Patches, channels: int, device: torch.device) -> "ClassTables":
        """Those of so many channels."""
        classes = Classes.of(patches, channels, torch.device("cpu"))
        count, m = classes.members.shape
        units = 1 if patches.pooled and patches.grouping == "channel" else count
        return cls(
            count,
            m,
            units,
            starts=classes.members[:, 0].int().to(device),
            sources=torch.cat([inverse(classes)[1:].flip(0), classes.partner]).int().to(device),
            group=classes.group[:units].int().to(device),
            position=classes.position[:units].int().contiguous().to(device),
            step=int(classes.members[0, 1] - classes.members[0, 0]) if m > 1 else 1,
            members=classes.members.to(device),
        )
