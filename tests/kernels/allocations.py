"""The most memory that a call holds, from what PyTorch allocates on one device, the "meta" device too."""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class Allocations(TorchDispatchMode):
    """Inside the block, storages on the device are counted for as long as they live.

    Attributes:
        most: the largest sum of their bytes so far.
    """

    def __init__(self, device):
        super().__init__()
        self.device = device
        self.alive = {}
        self.most = 0

    def __torch_dispatch__(self, operator, types, arguments=(), keywords=None):
        given = {key for key, _ in map(self._storage, tree_leaves((arguments, keywords)))}
        result = operator(*arguments, **(keywords or {}))
        for key, storage in map(self._storage, tree_leaves(result)):
            if storage is not None and key not in given and key not in self.alive:
                self.alive[key] = storage.nbytes()
                weakref.finalize(storage, self.alive.pop, key, None)
        self.most = max(self.most, sum(self.alive.values()))
        return result

    def _storage(self, leaf):
        if not isinstance(leaf, torch.Tensor) or leaf.device.type != self.device:
            return None, None
        storage = leaf.untyped_storage()
        return storage._cdata, storage


def most_held(function, device="meta"):
    """The most bytes that a call held on the device at once beside what it was given, and what it returns."""
    with Allocations(device) as allocations:
        result = function()
    return allocations.most, result
