"""Passes that backward computes a second time, as torch.utils.checkpoint has it do: they see what the first saw."""

from dataclasses import dataclass
from typing import NoReturn

import torch


def is_repetition() -> bool:
    """Whether backward is under way: a forward that runs then has run before. Compiled graphs cannot tell."""
    return not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1


@dataclass
class Choices:
    """Which passes of training were whitened by their own batch, for their repetitions.

    A repetition chooses as the latest pass did, whatever has been averaged since. Where passes that chose otherwise
    have not been repeated either, it is not known which of them it repeats.

    Attributes:
        latest: whether the latest pass was whitened by its own batch; None before any.
        repeated: whether backward has repeated passes since.
        mixed: whether passes that chose otherwise were not repeated before it.
    """

    latest: bool | None = None
    repeated: bool = True
    mixed: bool = False

    def record(self, own: bool) -> bool:
        """The choice of a pass that runs for the first time."""
        self.mixed |= self.latest not in (None, own) and not self.repeated
        self.latest, self.repeated = own, False
        return own

    def repeat(self, name: str, now: bool) -> bool:
        """The choice of the pass that is repeated; what it would be now, if there was none.

        Raises:
            RuntimeError: once, if it is not known.
        """
        if self.mixed:
            self.settle()
            self._refuse(name)
        self.repeated = True
        return now if self.latest is None else self.latest

    def settle(self) -> None:
        """Expect no repetitions of passes before the latest."""
        self.repeated, self.mixed = True, False

    @staticmethod
    def _refuse(name: str) -> NoReturn:
        raise RuntimeError(
            f"{name}: some passes that a checkpoint is to compute again ran before `freeze_after`, others after, and "
            "which one this is cannot be known; repeat this step, all of whose passes will be after"
        )
