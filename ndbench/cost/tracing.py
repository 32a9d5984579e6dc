"""The convolutions of any network, found by running it on shapes alone."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from runpy import run_path
from typing import Any

import torch
from torch import Tensor, nn

from ndbench.cost.geometry import Convolution
from ndbench.cost.networks import Named
from ndbench.covariance.work import Shape


def convolutions(make: Callable[[], nn.Module], shape: Shape) -> list[Named]:
    """The convolutions that a network computes, in their order, by hooks on the "meta" device: nothing is computed.

    Args:
        make: makes the network.
        shape: of its input, (N, C, H, W).

    Returns:
        name and geometry of each call of a `torch.nn.Conv2d`; a module that is called twice is there twice.

    Raises:
        TypeError: if what is made is no module.
        ValueError: for a network without convolutions, or with one whose padding differs at the ends of an axis, or one
            that refuses the input.

    Example:
        >>> from torch import nn
        >>> make = lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> [(name, conv.shape) for name, conv in convolutions(make, (1, 3, 6, 6))]
        [('0', (1, 3, 6, 6)), ('2', (1, 8, 4, 4))]
    """
    found: list[Named] = []
    with torch.device("meta"), torch.no_grad():
        model, x = make(), torch.empty(shape)
        if not isinstance(model, nn.Module):
            raise TypeError(f"the function must return a torch.nn.Module; got {type(model).__name__}")
        model.to("meta").eval()
        for name, module in model.named_modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(partial(_noted, found, name, x))
        try:
            model(x)
        except RuntimeError as error:
            raise ValueError(f"the network refuses an input of shape {shape}: {error}") from error
    if not found:
        raise ValueError("the network computed no torch.nn.Conv2d")
    return found


def _noted(found: list[Named], name: str, network_input: Tensor, module: Any, inputs: tuple[Tensor, ...]) -> None:
    """Append what a module is about to compute."""
    images, channels, height, width = (inputs[0] if inputs[0].ndim == 4 else inputs[0][None]).shape
    conv = geometry(module, (images, channels, height, width), first=inputs[0] is network_input)
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
        ValueError: if there is no such file, or no such function in it.
    """
    path, _, name = text.rpartition(":")
    if not Path(path).is_file():
        raise ValueError(f"there is no file {path!r}")
    function = run_path(path).get(name)
    if not callable(function):
        raise ValueError(f"{path} defines no function {name!r}")
    made: Callable[[], nn.Module] = function
    return made
