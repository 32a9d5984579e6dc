"""Deconvolved convolutions whose gradient with respect to the input is asked for; frozen, seeded, named."""

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ndbench.covariance_problems import CovarianceProblem, pair
from ndbench.targets import Exact, Steps, Target
from ndbench.verify.gradients.problems import drawn


@dataclass(frozen=True)
class LayerProblem:
    """The gradient of <G, y>, y the output of a deconvolved convolution of x, with respect to x.

    Attributes:
        images: x, the kernel, stride, padding and dilation of the convolution, and block, pooled, grouping and eps.
        outputs: channels of y.
        groups: of the convolution.
        sampling_stride: distance of the patches that the covariance takes, whatever the stride of the convolution.
        steps: T; None for the exact root by its eigenvalues.
        method: of `ndbench.inverse_sqrt`, where there are steps.
        aligned: G = y, as for the loss ||y||^2 / 2; otherwise G is random.
        seed: of x, weight, bias and G.
    """

    images: CovarianceProblem
    outputs: int = 4
    groups: int = 1
    sampling_stride: int = 1
    steps: int | None = 5
    method: str = "newton_schulz"
    aligned: bool = False
    seed: int = 0

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        parts = [self._seeded().name, f"o{self.outputs}", f"T{self.steps}" if self.steps else "exact"]
        parts += [self.method] if self.method != "newton_schulz" else []
        parts += [f"groups{self.groups}"] if self.groups > 1 else []
        parts += [f"sampling{self.sampling_stride}"] if self.sampling_stride > 1 else []
        parts += ["Gy"] if self.aligned else []
        return "-".join(parts)

    @property
    def dtype(self) -> torch.dtype:
        """The type of all tensors."""
        return self.images.dtype

    @property
    def order(self) -> int:
        """F, the order of D."""
        height, width = pair(self.images.kernel_size)
        return (self.images.block or self.images.C // self.groups) * height * width

    @property
    def pointwise(self) -> bool:
        """Whether it is a linear layer of every pixel's channels."""
        images = self.images
        moves = (images.kernel_size, images.stride, images.dilation, self.groups, self.sampling_stride)
        return moves == (1,) * len(moves) and images.padding == 0

    @property
    def target(self) -> Target:
        """The root that D is."""
        if self.steps is None:
            return Exact()
        # the default of ndbench.inverse_sqrt: every step scaled
        return Steps(self.method, self.steps, scaled_steps=self.steps if self.method == "denman_beavers" else 0)

    def x(self) -> Tensor:
        """The input, (N, C, H, W): mean 0 and standard deviation 1 if a photograph, else as it is drawn."""
        x = self._seeded().x().double()
        if self.images.data.startswith("photograph"):
            x = (x - x.mean()) / x.std()
        return x.to(self.dtype)

    def weight(self) -> Tensor:
        """The weight, (O, C / groups, kh, kw), with outputs of size about 1."""
        shape = (self.outputs, self.images.C // self.groups, *pair(self.images.kernel_size))
        weight = drawn("weight", self.seed, *shape)
        return (weight / math.sqrt(weight[0].numel())).to(self.dtype)

    def bias(self) -> Tensor:
        """The bias, (O,)."""
        return drawn("bias", self.seed, self.outputs).to(self.dtype)

    def upstream(self, y: Tensor) -> Tensor:
        """G for an output y: y itself if aligned, else random."""
        return y.detach().clone() if self.aligned else drawn("G", self.seed, *y.shape).to(self.dtype)

    def convolution(self) -> dict[str, Any]:
        """The geometry of the convolution's patches."""
        return {name: getattr(self.images, name) for name in ("kernel_size", "stride", "padding", "dilation")}

    def sampling(self) -> dict[str, Any]:
        """The keywords of the covariance's patches."""
        blocks = {name: getattr(self.images, name) for name in ("block", "pooled", "grouping")}
        return {**self.convolution(), "stride": self.sampling_stride, **blocks}

    def arguments(self) -> dict[str, Any]:
        """The keywords of `ndbench.operations.deconvolved_conv2d`."""
        convolution = self.convolution()
        convolution.pop("kernel_size")
        return {**convolution, **self.whitening(), "groups": self.groups, "sampling_stride": self.sampling_stride}

    @property
    def told_to_layers(self) -> bool:
        """Whether layers can be told its sampling: their sampling strides count strides of the convolution."""
        height, width = pair(self.images.stride)
        return height == width and self.sampling_stride % height == 0

    def layer_arguments(self) -> dict[str, Any]:
        """The keywords of layers."""
        stride, _ = pair(self.images.stride)
        return {**self.arguments(), "sampling_stride": self.sampling_stride // stride}

    def whitening(self) -> dict[str, Any]:
        """The keywords of `ndbench.operations.deconvolved_linear`."""
        blocks = {name: getattr(self.images, name) for name in ("block", "pooled", "grouping", "eps")}
        root = {"method": "spectral"} if self.steps is None else {"method": self.method, "steps": self.steps}
        return {**blocks, **root}

    def _seeded(self) -> CovarianceProblem:
        return replace(self.images, seed=self.seed)
