"""Faulty batches that nobody waits to see, on a GPU or in a compiled graph: one error later, for a whole network."""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any, NoReturn, Self

from torch import Tensor, nn

from ndbench.layers.values import has_values

SHOWN = 3
"""Layers that an error names."""


class Reporting(nn.Module):
    """A layer that reports its faulty batches when the mode is set, or the state asked for, of a network that holds it.

    The error comes once for all layers of that network, when all its modules have the mode.

    Attributes:
        faulty: whether there was such a batch, and no error yet.
    """

    faulty: Tensor

    def raise_if_faulty(self) -> None:
        """Raise if a batch on a GPU had statistics that are not finite; this synchronizes.

        `state_dict`, `train` and `eval` do so for all layers of the module that is asked.

        Raises:
            ValueError: once for all such batches.
        """
        if self._is_faulty():
            refuse_batches(self)

    def train(self, mode: bool = True) -> Self:
        """Switch to training, or evaluation, and raise if a batch was faulty."""
        changed = super().train(mode)
        if self._is_faulty():
            asked = _asked(self, nn.Module.train)
            found = clear(asked)
            # those behind this layer have not been reached
            asked.train(mode)
            refuse_batches(asked, found)
        return changed

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """What the module saves, once it is known that no batch was faulty."""
        if self._is_faulty():
            refuse_batches(_asked(self, nn.Module.state_dict))
        super()._save_to_state_dict(destination, prefix, keep_vars)

    def _is_faulty(self) -> bool:
        return has_values(self.faulty) and bool(self.faulty)


def clear(network: nn.Module) -> dict[str, Reporting]:
    """The faulty layers of a network by name, which are faulty no more."""
    layers = {name: m for name, m in network.named_modules() if isinstance(m, Reporting) and m._is_faulty()}
    for layer in layers.values():
        layer.faulty.zero_()
    return layers


def refuse_batches(network: nn.Module, found: dict[str, Reporting] | None = None) -> NoReturn:
    """Raise the one ValueError of all faulty layers of a network, by default those that still are."""
    layers = clear(network) if found is None else found
    names = [f"{name} ({type(layer).__name__})" for name, layer in layers.items() if name]
    more = f" and {len(names) - SHOWN} others" if len(names) > SHOWN else ""
    where = f", in {', '.join(names[:SHOWN])}{more}" if names else ""
    refuse(network, f"a batch held NaN, infinities, or numbers whose squares overflow float32{where}")


def refuse(module: nn.Module, message: str) -> NoReturn:
    """Raise the ValueError of a batch that was not averaged."""
    raise ValueError(f"{type(module).__name__}: {message}; the running averages are as they were")


def _asked(layer: nn.Module, method: Callable[..., Any]) -> nn.Module:
    """The outermost module that holds the layer and in which this method of all modules is under way.

    A layer does not know what holds it: the stack does.
    """
    found = layer
    frame: FrameType | None = sys._getframe()
    while frame := frame and frame.f_back:
        owner = frame.f_locals["self"] if frame.f_code is method.__code__ else None
        if owner is not None and any(module is layer for module in owner.modules()):
            found = owner
    return found
