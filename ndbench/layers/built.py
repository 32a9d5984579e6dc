"""Layers with a weight and a bias that are given, all called as convolutions: what checks and benchmarks build."""

from typing import Any

import torch
from torch import Tensor, nn

from ndbench.layers.channel import ChannelDeconv2d
from ndbench.layers.convolution import Deconv2d
from ndbench.layers.linear import DeconvLinear


def _filled(layer: nn.Module, weight: Tensor, bias: Tensor) -> nn.Module:
    """The layer with these parameters, the only ones that it has."""
    given = {"weight": weight, "bias": bias}
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(given[name.rpartition(".")[2]].reshape(parameter.shape))
    return layer


def _of_one_pixel(how: dict[str, Any]) -> dict[str, Any]:
    """What is left of a convolution's keywords; blocks are pooled where nothing is said."""
    geometry = ("stride", "padding", "dilation", "groups")
    return {name: value for name, value in how.items() if name not in geometry} | {
        "pooled": how.get("pooled") is not False
    }


def deconv2d(weight: Tensor, bias: Tensor, *, groups: int = 1, **how: Any) -> nn.Module:
    """Deconv2d with this weight (O, C / groups, kh, kw) and bias."""
    outputs, channels, height, width = weight.shape
    where: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
    return _filled(Deconv2d(groups * channels, outputs, (height, width), groups=groups, **how, **where), weight, bias)


def deconv_linear(weight: Tensor, bias: Tensor, **how: Any) -> nn.Module:
    """DeconvLinear with this weight (O, C, 1, 1) and bias, of every pixel's channels."""
    how = _of_one_pixel(how)
    how.pop("sampling_stride", None)
    where: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
    return OfPixels(_filled(DeconvLinear(weight.shape[1], len(weight), **how, **where), weight, bias))


def channel_deconv2d(weight: Tensor, bias: Tensor, **how: Any) -> nn.Module:
    """ChannelDeconv2d, and the convolution of one pixel (O, C, 1, 1) that follows."""
    how = _of_one_pixel(how)
    where: dict[str, Any] = {"device": weight.device, "dtype": weight.dtype}
    follows = nn.Conv2d(weight.shape[1], len(weight), 1, **where)
    return _filled(nn.Sequential(ChannelDeconv2d(weight.shape[1], **how, **where), follows), weight, bias)


class OfPixels(nn.Module):
    """A linear layer of every pixel's channels, (N, C, H, W) to (N, O, H, W)."""

    def __init__(self, linear: nn.Module) -> None:
        super().__init__()
        self.linear = linear

    def forward(self, x: Tensor) -> Tensor:
        """The layer with the channels last."""
        y: Tensor = self.linear(x.movedim(1, -1)).movedim(-1, 1)
        return y
