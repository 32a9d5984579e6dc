"""Tables that kernels read, copied to a device once.

A copy waits for the device, so it is made once for each geometry and kept. A CUDA graph cannot record it, and replays
the addresses that it has recorded: tables that were read in a capture are never given up again.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from functools import update_wrapper
from threading import Lock
from typing import Generic, ParamSpec, TypeVar, cast

import torch

from ndbench.kernels import runtime

KEPT = 64
"""Of each kind those used last, besides those of graphs."""

P = ParamSpec("P")
T = TypeVar("T")


class Kept(Generic[P, T]):
    """A function that makes tables, and keeps them by its arguments, of which the last is the device.

    Attributes:
        recent: those that no graph reads, the one used last at the end.
        captured: those that were asked for while a graph was captured, which are kept for good.
    """

    def __init__(self, make: Callable[P, T]) -> None:
        self.make = make
        self.recent: OrderedDict[tuple[Hashable, ...], T] = OrderedDict()
        self.captured: dict[tuple[Hashable, ...], T] = {}
        # backward runs in threads of its own
        self.lock = Lock()
        update_wrapper(self, make)

    def __call__(self, *arguments: P.args, **none: P.kwargs) -> T:
        """The tables, made now or before.

        Raises:
            RuntimeError: if a graph is being captured and they were not made before.
        """
        key, device = arguments, cast(torch.device, arguments[-1])
        capturing = runtime.capturing(device)
        with self.lock:
            if key in self.captured:
                return self.captured[key]
            if key in self.recent:
                self.recent.move_to_end(key)
                if capturing:
                    self.captured[key] = self.recent.pop(key)
                    return self.captured[key]
                return self.recent[key]
        if capturing:
            raise RuntimeError(
                f"{self.make.__qualname__}: a CUDA graph is being captured, and it cannot record that tables are "
                "copied to the device; call the function once before the capture, with inputs of this shape, type and "
                "device, and with its backward pass if that is captured too"
            )
        made = self.make(*arguments, **none)
        with self.lock:
            self.recent[key] = made
            while len(self.recent) > KEPT:
                # kernels of any stream may be about to read it
                runtime.wait_for(device)
                self.recent.popitem(last=False)
        return made

    def cache_clear(self) -> None:
        """Give up all that no graph reads."""
        with self.lock:
            self.recent.clear()


def kept_on_device(make: Callable[P, T]) -> Callable[P, T]:
    """The function, called once for equal arguments, which must be positional; the last of them is the device."""
    return Kept(make)
