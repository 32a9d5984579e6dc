"""Models that are changed in place, wholly or not at all."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def restored_on_failure(model: nn.Module, names: Iterable[str]) -> Iterator[None]:
    """Put the modules that now have these names, and their parameters, back into the model if anything is raised."""
    modules = {name: model.get_submodule(name) for name in names}
    # parameters keep their identity, also where conversion writes to them
    kept = [(module, dict(module._parameters)) for module in modules.values()]
    values = {p: p.detach().clone() for _, own in kept for p in own.values() if p is not None}
    try:
        yield
    except BaseException:
        for name, module in modules.items():
            model.set_submodule(name, module)
        for module, own in kept:
            module._parameters.update(own)
        with torch.no_grad():
            for parameter, value in values.items():
                parameter.copy_(value)
        raise
