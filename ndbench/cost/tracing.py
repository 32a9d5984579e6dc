"""The convolutions of any network, found by running it on shapes alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from runpy import run_path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from ndbench.cost.geometry import Convolution
from ndbench.cost.networks import Named
from ndbench.covariance.work import Shape

OTHERS = frozenset(f"conv{transposed}{axes}d" for transposed in ("", "_transpose") for axes in (1, 2, 3))
"""PyTorch's functions that convolve."""


class LeftOut(NamedTuple):
    """How many calls of a network have no row.

    Attributes:
        convolutions: by other means than a `torch.nn.Conv2d`.
        linear: of `torch.nn.functional.linear`, by modules or without.
    """

    convolutions: int = 0
    linear: int = 0

    def lines(self) -> list[str]:
        """What is left out, in words."""
        what = {"convolutions that are no torch.nn.Conv2d": self.convolutions, "linear layers": self.linear}
        return [f"left out are {count} {name}" for name, count in what.items() if count]


def convolutions(make: Callable[[], nn.Module], shape: Shape) -> tuple[list[Named], LeftOut]:
    """The convolutions that a network computes, in their order, by hooks on the "meta" device: nothing is computed.

    A convolution whose input needs no gradient, as that of a first layer even behind a normalization of the images, has
    no `input_gradient`.

    Args:
        make: makes the network.
        shape: of its input, (N, C, H, W).

    Returns:
        name and geometry of each call of a `torch.nn.Conv2d`, a module that is called twice being there twice; and how
        many convolutions were computed by other means, such as `torch.nn.functional.conv2d` or a transposed one, and
        how many linear layers.

    Raises:
        TypeError: if what is made is no module.
        ValueError: for a network that cannot be made, one without convolutions, or with one whose padding differs at
            the ends of an axis, or one that refuses the input.

    Example:
        >>> from torch import nn
        >>> make = lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> [(name, conv.shape) for name, conv in convolutions(make, (1, 3, 6, 6))[0]]
        [('0', (1, 3, 6, 6)), ('2', (1, 8, 4, 4))]
    """
    found: list[Named] = []
    others = _Others()
    with torch.device("meta"), torch.enable_grad():
        model, x = _told("the network cannot be made", make), torch.empty(shape)
        if not isinstance(model, nn.Module):
            raise TypeError(f"the function must return a torch.nn.Module; got {type(model).__name__}")
        model.to("meta").eval()
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(partial(_noted, found, others, name))
                module.register_forward_hook(others.left)
        with others:
            _told(f"the network refuses an input of shape {shape}", partial(model, x))
    if not found:
        raise ValueError(f"the network computed no torch.nn.Conv2d, and {others.convolutions} other convolutions")
    return found, LeftOut(others.convolutions, others.linear)


class _Others(TorchFunctionMode):
    """Counts convolutions and linear maps outside of every `torch.nn.Conv2d`."""

    def __init__(self) -> None:
        super().__init__()
        self.convolutions = self.linear = self.inside = 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(function, "__name__", "")
        self.convolutions += not self.inside and name in OTHERS
        self.linear += not self.inside and name == "linear"
        return function(*args, **(kwargs or {}))

    def left(self, *_: Any) -> None:
        """A module has returned."""
        self.inside -= 1


def _told(failure: str, function: Callable[[], Any]) -> Any:
    """What foreign code returns; if it raises, whatever it is, a line that tells it."""
    try:
        return function()
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise ValueError(f"{failure}: {type(error).__name__}: {reason}") from error


def _noted(found: list[Named], others: _Others, name: str, module: Any, inputs: tuple[Tensor, ...]) -> None:
    """Append what a module is about to compute."""
    others.inside += 1
    images, channels, height, width = (inputs[0] if inputs[0].ndim == 4 else inputs[0][None]).shape
    conv = geometry(module, (images, channels, height, width), first=not inputs[0].requires_grad)
    found.append((name, conv))


def geometry(module: nn.Conv2d, shape: Shape, *, first: bool = False) -> Convolution:
    """That of a convolution on an input of this shape."""
    return Convolution.of(
        shape,
        module.out_channels,
        module.kernel_size,
        stride=module.stride,
        padding=padding_of(module),
        dilation=module.dilation,
        groups=module.groups,
        input_gradient=not first,
    )


def padding_of(module: nn.Conv2d) -> tuple[int, int]:
    """The zeros at both ends of each axis, as numbers."""
    if not isinstance(module.padding, str):
        return (module.padding[0], module.padding[1])
    if module.padding == "valid":
        return 0, 0
    spans = [d * (k - 1) for k, d in zip(module.kernel_size, module.dilation, strict=True)]
    if any(span % 2 for span in spans):
        raise ValueError(f'padding="same" of kernel {module.kernel_size} differs at the two ends of an axis')
    return spans[0] // 2, spans[1] // 2


def maker(text: str) -> Callable[[], nn.Module]:
    """The function that FILE.py:FUNCTION names.

    Raises:
        ValueError: if there is no such file, it cannot be run, or there is no such function in it.
    """
    path, _, name = text.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path!r}")
    function = _told(f"{path} cannot be run", partial(run_path, path)).get(name)
    if not callable(function):
        raise ValueError(f"{path} defines no function {name!r}")
    made: Callable[[], nn.Module] = function
    return made
