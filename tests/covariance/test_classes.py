import pytest
import torch

from ndbench.covariance import Patches
from ndbench.covariance.classes import Classes

CPU = torch.device("cpu")


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
@pytest.mark.parametrize("kernel", [1, 2, 3, (2, 3)], ids=str)
@pytest.mark.parametrize(("channels", "block"), [(1, 1), (4, 4), (4, 2), (6, 1), (12, 2), (12, 3), (18, 1)])
def test_classes_meet_exactly_where_columns_share_a_group(grouping, kernel, channels, block):
    patches = Patches.of(kernel, block=block, grouping=grouping)
    group, position = patches.columns(channels)
    classes = Classes.of(patches, channels, CPU)
    assert sorted(classes.members.flatten().tolist()) == list(range(channels))
    for t in range(patches.offsets):
        for u in range(t, patches.offsets):
            for a, members in enumerate(classes.members):
                met = [c for c in range(channels) if group[c, u] == group[members[0], t]]
                assert bool(met) == classes.meets[u - t]
                if met:
                    assert classes.members[classes.partner[u - t, a]].tolist() == met
    assert torch.equal(classes.position, position[classes.members])
    assert torch.equal(classes.group[:, None].expand_as(classes.position), group[classes.members])


def test_partners_are_left_in_place_where_classes_meet_themselves():
    classes = Classes.of(Patches.of(3, block=2, grouping="interleaved"), 8, CPU)
    y = torch.arange(4)
    assert classes.partners(y, 0) is y
    assert classes.partners(y, 4) is y
    # channel c has the columns 9 c + t, which is c + t modulo 4: one offset on, channel c meets channel c - 1
    assert classes.partners(y, 1).tolist() == [3, 0, 1, 2]
