"""Training steps of a small network side by side: batch normalization, channel deconvolution, full deconvolution."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.functional import cross_entropy

from ndbench.bench.covariance import activations
from ndbench.bench.workloads import Contender, Workload
from ndbench.layers import ChannelDeconv2d, Deconv2d, DeconvLinear

WAYS = {
    "batch normalization": "batchnorm",
    "channel deconvolution": "channel",
    "full deconvolution": "full",
}
CHANNELS = (16, 32, 32)
KERNEL_SIZE = 3
BLOCK = 16
"""As in the paper: "usually we set G ~ 16"."""


def network(way: str, classes: int, sampling_stride: int) -> nn.Sequential:
    """Three convolutions of images with one channel, the mean of all pixels, and a linear layer.

    Args:
        way: "batchnorm", "channel" or "full".
        classes: outputs.
        sampling_stride: of the deconvolutions.
    """
    layers: list[nn.Module] = []
    for index, (inputs, outputs) in enumerate(zip((1, *CHANNELS), CHANNELS, strict=False)):
        sizes = (inputs, outputs, KERNEL_SIZE, 1 if index == 0 else 2, 1)
        if way == "channel":
            layers.append(ChannelDeconv2d(inputs, block=BLOCK, sampling_stride=sampling_stride))
        layers.append(
            Deconv2d(*sizes, block=BLOCK, sampling_stride=sampling_stride) if way == "full" else nn.Conv2d(*sizes)
        )
        if way == "batchnorm":
            layers.append(nn.BatchNorm2d(outputs))
        layers.append(nn.ReLU())
    linear = nn.Linear if way == "batchnorm" else DeconvLinear
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(CHANNELS[-1], classes))


@dataclass(frozen=True)
class NetworkStep:
    """The cross entropy of one batch of square images, with its gradients for the input and every parameter.

    Attributes:
        images: N.
        size: H and W, divisible by 4.
        classes: of which each image has one.
        sampling_stride: of the deconvolutions.
    """

    images: int = 64
    size: int = 24
    classes: int = 17
    sampling_stride: int = 3

    def workload(self) -> Workload:
        """The comparison; flops and bytes are those of the convolutions alone, which every contender has to do."""
        # pixels and channels of what goes into each convolution, and what comes out of the last
        pixels = [self.images * (self.size // scale) ** 2 for scale in (1, 1, 2, 4)]
        sizes = list(zip(pixels, (1, *CHANNELS), strict=True))
        products = sum(p * a * b for p, a, b in zip(pixels[1:], (1, *CHANNELS)[:-1], CHANNELS, strict=True))
        return Workload(
            name=f"network-{self.images}x1x{self.size}x{self.size}-to-{self.classes}",
            input=lambda device: activations((self.images, 1, self.size, self.size), device),
            contenders=self.contenders,
            truth=None,
            flops=2.0 * products * KERNEL_SIZE**2,
            bytes=4.0 * sum(p * channels for p, channels in sizes),
            family="network",
            order=BLOCK * KERNEL_SIZE**2,
            rows=pixels[-1],
        )

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """The three ways, batch normalization first."""
        return {name: self._by(way, device) for name, way in WAYS.items()}

    def _by(self, way: str, device: str) -> Contender:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            model = network(way, self.classes, self.sampling_stride).to(device)
        # averages over batches are no part of what is true of one
        exact, names = copy.deepcopy(model).double(), [name for name, _ in model.named_parameters()]
        labels = torch.arange(self.images, device=device) % self.classes

        def truth(x: Tensor, *parameters: Tensor) -> tuple[Tensor]:
            return (cross_entropy(functional_call(exact, dict(zip(names, parameters, strict=True)), (x,)), labels),)

        def loss(x: Tensor) -> tuple[Tensor]:
            return (cross_entropy(model(x), labels),)

        return Contender(loss, capturable=False, truth=truth, parameters=tuple(model.parameters()))


def networks(device: str) -> tuple[Workload, ...]:
    """A step of the size that `python -m benchmarks.training` takes; a larger one on a GPU."""
    step = NetworkStep() if device == "cpu" else NetworkStep(images=1024, size=32)
    return (step.workload(),)
