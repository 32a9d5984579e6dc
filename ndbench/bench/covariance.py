"""Patch covariances side by side."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ndbench.bench.compiled import compiled
from ndbench.bench.workloads import Contender, Workload, type_suffix
from ndbench.covariance import Patches, im2col
from ndbench.covariance.work import LaggedWork, im2col_flops
from ndbench.kernels.precision import precisions_here, products_of_shifted
from ndbench.operations import patch_covariance


def activations(shape: tuple[int, int, int, int], device: str, channels_last: bool = False) -> Tensor:
    """Images (N, C, H, W) whose mean and variance differ from channel to channel."""
    rng = torch.Generator().manual_seed(0)
    N, C, H, W = shape
    x = torch.randn(N, 1, H, W, generator=rng) + torch.randn(1, C, 1, 1, generator=rng)
    x = (x + torch.randn(1, C, H, W, generator=rng)).to(device)
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


def rows_of(shape: tuple[int, int, int, int], patches: Patches) -> int:
    """M, the rows of the patch matrix: those of all blocks where they are pooled."""
    images, channels, *size = shape
    return images * math.prod(patches.output_size(*size)) * (patches.groups(channels) if patches.pooled else 1)


@dataclass(frozen=True)
class Layer:
    """The covariance of a layer's input, padded by half a kernel.

    Attributes:
        shape: of the input (N, C, H, W).
        kernel_size: k.
        stride: of the sampling.
        block: channels of a block.
        channels_last: whether that is how the images lie in memory.
        pooled: whether all blocks share one covariance.
        grouping: of columns into blocks.
        dtype: of the images.
        compiled: whether `torch.compile` takes part on a GPU; it compiles for seconds, so in one workload of each kind.
    """

    shape: tuple[int, int, int, int]
    kernel_size: int
    stride: int = 1
    block: int = 64
    channels_last: bool = False
    pooled: bool = True
    grouping: str = "channel"
    dtype: torch.dtype = torch.float32
    compiled: bool = False

    def workload(self) -> Workload:
        """The comparison; flops are those of the cheaper algorithm, with im2col's product counted once by symmetry."""
        shape = "x".join(map(str, self.shape))
        order = self.block * self.kernel_size**2
        covariances = 1 if self.pooled else self._patches().groups(self.shape[1])
        return Workload(
            name=f"covariance-{shape}-k{self.kernel_size}-s{self.stride}-block{self.block}{self._variant()}",
            input=self.x,
            contenders=self.contenders,
            truth=lambda x: self.covariance(x, "im2col"),
            flops=min(im2col_flops(self.shape, self._patches()) / 2, LaggedWork.of(self.shape, self._patches()).flops),
            bytes=float(self.dtype.itemsize * (torch.Size(self.shape).numel() + covariances * order**2)),
            family=f"covariance{type_suffix(self.dtype)}",
            rows=rows_of(self.shape, self._patches()),
        )

    def x(self, device: str) -> Tensor:
        """The images."""
        return activations(self.shape, device, self.channels_last).to(self.dtype)

    def contenders(self, device: str) -> Mapping[str, Contender]:
        """Kernels in each precision; PyTorch's unfold and one product, compiled too, and its lagged form."""
        unfold = Contender(lambda x: self.covariance(x, "im2col"))
        # its plan is copied to the GPU anew in each call
        lagged = Contender(lambda x: self.covariance(x, "lagged"), capturable=False)
        found = {"unfold + GEMM": unfold, "lagged, torch": lagged}
        if device == "cpu":
            # the slowest: on the images of a GPU it would take most of the run
            found["shifted, torch"] = Contender(lambda x: self.covariance(x, "shifted"))
        if device == "cuda":
            # a CPU has no tf32: the same products would be judged by a coarser standard
            found["unfold + GEMM, tf32"] = Contender(unfold.function, "tf32", settings="high")
            found |= self._kernels()
            if self.compiled:
                found["torch.compile"] = Contender(compiled(self.plain), capturable=False)
        return found

    def _kernels(self) -> dict[str, Contender]:
        """Those of each precision; images of 16 bits have one."""
        ways: dict[str, tuple[str | None, str]] = {f" {way}": (way, way) for way in precisions_here()}
        if self.dtype != torch.float32:
            ways = {"": (None, products_of_shifted(self.dtype, "ieee"))}
        return {
            f"{algorithm}, triton{name}": self._by_kernels(algorithm, *way)
            for name, way in ways.items()
            for algorithm in (("im2col", "lagged") if self.stride == 1 else ("im2col",))
        }

    def _by_kernels(self, algorithm: str, asked: str | None, precision: str) -> Contender:
        return Contender(lambda x: self.covariance(x, algorithm, "triton", asked), precision)

    def plain(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The covariance in operations of PyTorch alone, which the compiler takes: it leaves `patch_covariance` out."""
        mean, cov = im2col(x.float(), self._patches())
        return mean.to(x.dtype), cov.to(x.dtype)

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
            **self._sampling(),
            algorithm=algorithm,
            backend=backend,
            precision=precision,
            adjoint=adjoint,
        )

    def _patches(self) -> Patches:
        return Patches.of(self.kernel_size, **self._sampling())

    def _sampling(self) -> dict[str, Any]:
        """Which patches, beside the size of the kernel, and how their columns are grouped."""
        padding = self.kernel_size // 2
        blocks = {"block": self.block, "pooled": self.pooled, "grouping": self.grouping}
        return {"stride": self.stride, "padding": padding, **blocks}

    def _variant(self) -> str:
        """What the name says of what is not usual."""
        layout, separate = "-nhwc" if self.channels_last else "", "" if self.pooled else "-separate"
        grouping = "" if self.grouping == "channel" else f"-{self.grouping}"
        return f"{layout}{separate}{grouping}{type_suffix(self.dtype)}"


WORKLOADS = tuple(
    layer.workload()
    for layer in (
        Layer((256, 64, 56, 56), 3, compiled=True),
        Layer((256, 64, 56, 56), 3, channels_last=True),
        Layer((256, 64, 56, 56), 3, stride=3, compiled=True),
        Layer((256, 64, 56, 56), 3, block=16),
        Layer((128, 64, 32, 32), 1),
        Layer((64, 64, 32, 32), 5, stride=5),
        Layer((64, 512, 14, 14), 3),
        Layer((128, 64, 32, 32), 3, block=16, pooled=False, compiled=True),
        Layer((128, 64, 32, 32), 3, block=16, grouping="interleaved", compiled=True),
        Layer((128, 64, 32, 32), 3, dtype=torch.float16, compiled=True),
        Layer((128, 64, 32, 32), 3, dtype=torch.bfloat16),
    )
)
SMALL = tuple(layer.workload() for layer in (Layer((8, 64, 32, 32), 3), Layer((8, 64, 32, 32), 3, stride=3)))
"""For a CPU."""
