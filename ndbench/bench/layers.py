"""Training steps side by side: `Deconv2d` beside a convolution with batch normalization."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from ndbench.bench.covariance import activations, rows_of
from ndbench.bench.workloads import Contender, Differentiable, Workload
from ndbench.covariance import Patches
from ndbench.layers import Deconv2d
from ndbench.operations import deconvolved_conv2d

KERNEL_SIZE, PADDING = 3, 1
EPS = 1e-5


@dataclass(frozen=True)
class Step:
    """Forward and backward of one layer, kernel 3, padding 1: gradients of input, weight and bias.

    Attributes:
        shape: of the input (N, C, H, W).
        outputs: O.
        channels_last: whether that is how images and weights lie in memory.
        large: whether it runs only where it is asked for by name.
    """

    shape: tuple[int, int, int, int]
    outputs: int
    channels_last: bool = False
    large: bool = False

    def workload(self) -> Workload:
        """The comparison; flops and bytes are those of the convolution alone, which every contender has to do."""
        N, C, H, W = self.shape
        weights = self.outputs * C * KERNEL_SIZE**2
        patches = Patches.of(KERNEL_SIZE, padding=PADDING, block=min(C, 64))
        return Workload(
            name=f"layer-{'x'.join(map(str, self.shape))}-to-{self.outputs}{'-nhwc' if self.channels_last else ''}",
            input=lambda device: activations(self.shape, device, self.channels_last),
            contenders=self.contenders,
            truth=None,
            flops=2.0 * N * H * W * weights,
            bytes=4.0 * (N * H * W * (C + self.outputs) + weights),
            family=f"layer{'-nhwc' if self.channels_last else ''}",
            order=min(C, 64) * KERNEL_SIZE**2,
            rows=rows_of(self.shape, patches),
            large=self.large,
        )

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """What is replaced first; the convolution alone; `Deconv2d` by block and sampling stride."""
        found = {"convolution + batch norm": self._normalized(device), "convolution": self._convolution(device)}
        for block, stride in ((16, 3), (64, 3), (64, 1)):
            found[f"Deconv2d, block {block}, stride {stride}"] = self._deconvolution(device, block, stride)
        return found

    def _normalized(self, device: str) -> Contender:
        sizes = (self.shape[1], self.outputs, KERNEL_SIZE)
        layer = self._ready(
            nn.Sequential(nn.Conv2d(*sizes, padding=PADDING, bias=False), nn.BatchNorm2d(sizes[1], eps=EPS))
        )

        def truth(x: Tensor, weight: Tensor, scale: Tensor, shift: Tensor) -> tuple[Tensor]:
            y = functional.conv2d(x, weight, padding=PADDING)
            var, mean = torch.var_mean(y, dim=(0, 2, 3), correction=0, keepdim=True)
            return ((y - mean) / (var + EPS).sqrt() * scale[:, None, None] + shift[:, None, None],)

        return _training(layer.to(device), truth)

    def _convolution(self, device: str) -> Contender:
        layer = self._ready(nn.Conv2d(self.shape[1], self.outputs, KERNEL_SIZE, padding=PADDING))

        def truth(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor]:
            return (functional.conv2d(x, weight, bias, padding=PADDING),)

        return _training(layer.to(device), truth)

    def _deconvolution(self, device: str, block: int, sampling_stride: int) -> Contender:
        how: dict[str, Any] = {
            "padding": PADDING,
            "block": min(block, self.shape[1]),
            "sampling_stride": sampling_stride,
        }
        layer = self._ready(Deconv2d(self.shape[1], self.outputs, KERNEL_SIZE, eps=EPS, **how))

        def truth(x: Tensor, weight: Tensor, bias: Tensor) -> tuple[Tensor]:
            # by the definition: all patches as rows, and autograd through every step of the root
            definition: dict[str, Any] = {"algorithm": "im2col", "root_adjoint": "autograd", "check": False}
            return (deconvolved_conv2d(x, weight, bias, eps=EPS, **how, **definition),)

        return _training(layer.to(device), truth)

    def _ready(self, layer: nn.Module) -> nn.Module:
        """The layer with seeded weights, in the layout asked for."""
        rng = torch.Generator().manual_seed(0)
        with torch.no_grad():
            for parameter in layer.parameters():
                if parameter.ndim > 1:
                    bound = parameter[0].numel() ** -0.5
                    parameter.uniform_(-bound, bound, generator=rng)
        layout = torch.channels_last if self.channels_last else torch.contiguous_format
        layer.to(memory_format=layout)  # type: ignore[call-overload]
        return layer


def _training(layer: nn.Module, truth: Differentiable) -> Contender:
    parameters = tuple(layer.parameters())
    return Contender(lambda x: (layer(x),), capturable=False, truth=truth, parameters=parameters)


SIZES = (((128, 64, 32, 32), 64), ((128, 128, 16, 16), 128), ((128, 256, 8, 8), 256))
"""Of the layers of networks for small images, as `python -m benchmarks.layers` measures them."""
SMALL = (((8, 16, 16, 16), 16), ((8, 64, 16, 16), 64))


def layers(device: str) -> tuple[Workload, ...]:
    """Training steps in both layouts of memory; on a CPU those in use only where they are asked for by name."""
    if device == "cuda":
        steps = [Step((256, 64, 56, 56), 64, channels_last=True), Step((128, 128, 16, 16), 128, channels_last=True)]
    else:
        steps = [Step(shape, outputs) for shape, outputs in SMALL]
        steps += [Step(*size, channels_last, large=True) for size in SIZES for channels_last in (False, True)]
    return tuple(step.workload() for step in steps)
