"""Patch covariances side by side."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.bench.workloads import Contender, Workload
from ndbench.covariance import Patches
from ndbench.covariance.work import LaggedWork, im2col_flops
from ndbench.kernels.precision import precisions_here
from ndbench.operations import patch_covariance


def activations(shape: tuple[int, int, int, int], device: str, channels_last: bool = False) -> Tensor:
    """Images (N, C, H, W) whose mean and variance differ from channel to channel."""
    rng = torch.Generator().manual_seed(0)
    N, C, H, W = shape
    x = torch.randn(N, 1, H, W, generator=rng) + torch.randn(1, C, 1, 1, generator=rng)
    x = (x + torch.randn(1, C, H, W, generator=rng)).to(device)
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def rows_of(shape: tuple[int, int, int, int], patches: Patches) -> int:
    """M, the rows of the patch matrix of pooled blocks."""
    images, channels, *size = shape
    return images * math.prod(patches.output_size(*size)) * patches.groups(channels)


@dataclass(frozen=True)
class Layer:
    """The covariance of a layer's input."""

    shape: tuple[int, int, int, int]
    kernel_size: int
    stride: int = 1
    block: int = 64
    channels_last: bool = False

    def workload(self) -> Workload:
        """The comparison; flops are those of the cheaper algorithm, with im2col's product counted once by symmetry."""
        shape = "x".join(map(str, self.shape))
        order = self.block * self.kernel_size**2
        layout = "-nhwc" if self.channels_last else ""
        return Workload(
            name=f"covariance-{shape}-k{self.kernel_size}-s{self.stride}-block{self.block}{layout}",
            input=self.x,
            contenders=self.contenders,
            truth=lambda x: self.covariance(x, "im2col"),
            flops=min(im2col_flops(self.shape, self._patches()) / 2, LaggedWork.of(self.shape, self._patches()).flops),
            bytes=4.0 * (torch.Size(self.shape).numel() + order**2),
            family="covariance",
            rows=rows_of(self.shape, self._patches()),
        )

    def x(self, device: str) -> Tensor:
        """The images."""
        return activations(self.shape, device, self.channels_last)

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """Kernels in each precision; PyTorch's unfold and one product, and its lagged form."""
        unfold = Contender(lambda x: self.covariance(x, "im2col"))
        # its plan is copied to the GPU anew in each call
        lagged = Contender(lambda x: self.covariance(x, "lagged"), capturable=False)
        found = {"unfold + GEMM": unfold, "lagged, torch": lagged}
        if device == "cuda":
            # a CPU has no tf32: the same products would be judged by a coarser standard
            found["unfold + GEMM, tf32"] = Contender(unfold.function, "tf32", settings="high")
            algorithms = ("im2col", "lagged") if self.stride == 1 else ("im2col",)
            for precision in precisions_here():
                found |= {f"{a}, triton {precision}": self._kernels(a, precision) for a in algorithms}
        return found

    def _kernels(self, algorithm: str, precision: str) -> Contender:
        return Contender(lambda x: self.covariance(x, algorithm, "triton", precision), precision)

    def covariance(
        self,
        x: Tensor,
        algorithm: str,
        backend: str = "torch",
        precision: str | None = None,
        adjoint: str = "auto",
    ) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the images' patches."""
        return patch_covariance(
            x,
            self.kernel_size,
            stride=self.stride,
            padding=self.kernel_size // 2,
            block=self.block,
            algorithm=algorithm,
            backend=backend,
            precision=precision,
            adjoint=adjoint,
        )

    def _patches(self) -> Patches:
        return Patches.of(self.kernel_size, stride=self.stride, padding=self.kernel_size // 2, block=self.block)


WORKLOADS = tuple(
    layer.workload()
    for layer in (
        Layer((256, 64, 56, 56), 3),
        Layer((256, 64, 56, 56), 3, channels_last=True),
        Layer((256, 64, 56, 56), 3, stride=3),
        Layer((256, 64, 56, 56), 3, block=16),
        Layer((128, 64, 32, 32), 1),
        Layer((64, 64, 32, 32), 5, stride=5),
        Layer((64, 512, 14, 14), 3),
    )
)
SMALL = tuple(layer.workload() for layer in (Layer((8, 64, 32, 32), 3), Layer((8, 64, 32, 32), 3, stride=3)))
"""For a CPU."""
