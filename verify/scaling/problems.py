"""Families of problems in which one size grows and all others stay."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from ndbench.covariance_problems import CovarianceProblem
from ndbench.problems import MatrixProblem, dtype_name


def several(values: Sequence[int]) -> str:
    """The values in a name: "1to9" if none between them is left out, else "1.3.9"."""
    if len(values) > 2 and all(b == a + 1 for a, b in pairwise(values)):
        return f"{values[0]}to{values[-1]}"
    return ".".join(map(str, values))


@dataclass(frozen=True)
class PatchScaling:
    """Patches of square images, padded so that there is a patch for each pixel.

    Attributes:
        variable: what grows: "k" (kernel size), "G" (channels of a block), "C" (channels) or "side" (of the image).
        values: of it, ascending.
        C: channels.
        block: channels of a block.
        side: of the images.
        kernel_size: of the patches.
        sampled: whether patches are taken at a stride of k instead of 1.
        dtype: of the images.
    """

    variable: str
    values: tuple[int, ...]
    C: int = 4
    block: int = 4
    side: int = 16
    kernel_size: int = 3
    sampled: bool = False
    dtype: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """A name from which the family can be told."""
        sizes = {"k": self.kernel_size, "C": self.C, "G": self.block, "side": self.side}
        fixed = [f"{name}{value}" for name, value in sizes.items() if name != self.variable]
        fixed += ["stridek"] if self.sampled else []
        return "-".join(["scaling", self.variable + several(self.values), *fixed, dtype_name(self.dtype)])

    @property
    def sizes(self) -> list[float]:
        """What the flops are a power of: the values, or the pixels of an image."""
        return [float(v**2 if self.variable == "side" else v) for v in self.values]

    def at(self, value: int) -> CovarianceProblem:
        """The problem of one size."""
        side = value if self.variable == "side" else self.side
        k = value if self.variable == "k" else self.kernel_size
        C = value if self.variable == "C" else self.C
        block = value if self.variable == "G" else self.block
        stride = k if self.sampled else 1
        return CovarianceProblem(1, C, side, side, k, stride=stride, padding=k // 2, block=block, dtype=self.dtype)


@dataclass(frozen=True)
class InteriorScaling:
    """Images of several sizes for each kernel size, whose differences tell the interior from the border.

    Attributes:
        values: kernel sizes, ascending.
        sampled: whether patches are taken at a stride of k instead of 1.
        C: channels, in one block.
        dtype: of the images.
    """

    values: tuple[int, ...]
    sampled: bool = False
    C: int = 2
    dtype: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """A name from which the family can be told."""
        stride = "k" if self.sampled else "1"
        return f"scaling-interior-k{several(self.values)}-stride{stride}-C{self.C}-{dtype_name(self.dtype)}"

    def stride(self, k: int) -> int:
        """The distance between patches."""
        return k if self.sampled else 1

    def at(self, k: int, images: int, step: int) -> CovarianceProblem:
        """So many images with so many more outputs along each axis than the smallest that have an interior."""
        side, stride = 2 * k + 2 + step * self.stride(k), self.stride(k)
        return CovarianceProblem(images, self.C, side, side, k, stride=stride, padding=k // 2, dtype=self.dtype)


@dataclass(frozen=True)
class MemoryScaling:
    """Pairs of images of two sizes: what a value of the input takes more in memory, as one size grows.

    Attributes:
        variable: what grows: "k" (kernel size), "G" (channels of a block), "C" (channels) or "side" (of the images).
        values: of it, ascending; of sides one is the smaller image of the pair whose larger one is the next.
        sides: of the images; so large that pixels and not the entries of the covariance decide the peak.
        C: channels.
        block: channels of a block.
        kernel_size: of the patches.
        dtype: of the images.
    """

    variable: str
    values: tuple[int, ...]
    sides: tuple[int, int] = (160, 224)
    C: int = 1
    block: int = 1
    kernel_size: int = 3
    dtype: torch.dtype = torch.float32

    @property
    def name(self) -> str:
        """A name from which the family can be told."""
        fixed = {"k": self.kernel_size, "C": self.C, "G": self.block}
        parts = [f"{name}{value}" for name, value in fixed.items() if name != self.variable]
        parts += [] if self.variable == "side" else [f"side{several(self.sides)}"]
        return "-".join(["scaling-memory", self.variable + several(self.values), *parts, dtype_name(self.dtype)])

    @property
    def sizes(self) -> list[float]:
        """What memory could be a power of: the values, or the pixels of the larger image of each pair."""
        return [float(large.H**2 if self.variable == "side" else v) for v, (_, large) in self.pairs]

    @property
    def pairs(self) -> list[tuple[int, tuple[CovarianceProblem, CovarianceProblem]]]:
        """Each value with its two images."""
        if self.variable == "side":
            return [(large, (self.at(large, small), self.at(large, large))) for small, large in pairwise(self.values)]
        return [(value, (self.at(value, self.sides[0]), self.at(value, self.sides[1]))) for value in self.values]

    def at(self, value: int, side: int) -> CovarianceProblem:
        """One image of this side."""
        sizes = {"k": self.kernel_size, "C": self.C, "G": self.block} | {self.variable: value}
        k = sizes["k"]
        return CovarianceProblem(1, sizes["C"], side, side, k, padding=k // 2, block=sizes["G"], dtype=self.dtype)


@dataclass(frozen=True)
class OrderScaling:
    """One diagonal matrix of condition 2 for each order.

    Attributes:
        values: orders n, ascending.
        dtype: of the matrices.
    """

    values: tuple[int, ...]
    dtype: torch.dtype = torch.float32
    variable: str = "n"

    @property
    def name(self) -> str:
        """A name from which the family can be told."""
        return f"scaling-n{several(self.values)}-{dtype_name(self.dtype)}"

    @property
    def sizes(self) -> list[float]:
        """The orders."""
        return [float(n) for n in self.values]

    def at(self, n: int) -> MatrixProblem:
        """The problem of one order."""
        return MatrixProblem("diagonal", n, 2.0, batch=1, dtype=self.dtype)


ORDERS = (2, 8, 27, 64, 144, 576, 1152)
"""k^2 G for k up to 3 and G up to 128, with 1152 = 9 x 128 the largest; the quick tier leaves that one out."""

FEW_KERNELS = (1, 3, 5, 9)
KERNELS = tuple(range(1, 10))
BLOCKS = (2, 4, 8, 16, 32, 64, 128)

_SIZES = (
    PatchScaling("G", BLOCKS, C=128, side=6),
    PatchScaling("C", BLOCKS, block=2, side=8),
    PatchScaling("side", (8, 16, 32, 64)),
)

FLOPS = {
    "quick": (PatchScaling("k", FEW_KERNELS), *_SIZES),
    "full": (PatchScaling("k", FEW_KERNELS), *_SIZES, PatchScaling("k", KERNELS, C=2, block=2, side=24)),
}
_TILED = (
    PatchScaling("k", KERNELS, C=64, block=64, side=224),
    PatchScaling("k", KERNELS, C=64, block=64, side=224, sampled=True),
    PatchScaling("G", (16, 32, 64, 128), C=128, side=64),
    PatchScaling("C", (64, 128, 256, 512), block=64, side=64),
    PatchScaling("side", (64, 128, 256, 512), C=64, block=64),
)
LAUNCHES = {"quick": _TILED, "full": _TILED}
"""Sizes of whole tiles, in large images, for kernels that are counted by a model."""

INTERIORS = {
    "quick": (InteriorScaling((1, 2, 4)), InteriorScaling((1, 3), sampled=True)),
    "full": (
        InteriorScaling((1, 2, 4)),
        InteriorScaling((1, 3), sampled=True),
        *(InteriorScaling(KERNELS, sampled) for sampled in (False, True)),
    ),
}
_MEMORIES = (
    MemoryScaling("side", (64, 96, 128, 192, 256)),
    MemoryScaling("G", (1, 4, 32), sides=(128, 160), C=32),
    MemoryScaling("C", (1, 8, 32), sides=(128, 160)),
)
MEMORY = {
    "quick": (*_MEMORIES, MemoryScaling("k", (1, 3, 5))),
    "full": (*_MEMORIES, MemoryScaling("k", (1, 3, 5)), MemoryScaling("k", KERNELS, sides=(288, 352))),
}
POWERS = {"quick": (OrderScaling(ORDERS[:-1]),), "full": (OrderScaling(ORDERS[:-1]), OrderScaling(ORDERS))}
TIMES_OF_PATCHES = {
    tier: (
        PatchScaling("k", KERNELS, C=32, block=32, side=64),
        # k = 5: of orders below 256 the definition multiplies the whole square on a CPU, and here the fit has none
        PatchScaling("G", BLOCKS, C=128, side=24, kernel_size=5),
        PatchScaling("C", BLOCKS, block=2, side=48),
        PatchScaling("side", (8, 12, 16, 24, 32, 48, 64, 96, 128), C=32, block=32),
    )
    for tier in ("quick", "full")
}
TIMES_OF_ROOTS = {
    tier: (OrderScaling((16, 32, 64, 96, 144, 216, 288, 432, 576, 864, 1152)),) for tier in ("quick", "full")
}
PADDED = {tier: (PatchScaling("G", BLOCKS, C=128, side=64),) for tier in ("quick", "full")}
"""Blocks below whole tiles, too."""
LAUNCHES_OF_ROOTS = {tier: (OrderScaling((16, 27, 64, 96, 144, 288, 576, 1152)),) for tier in ("quick", "full")}
"""From the smallest tile on."""
PRODUCTS = {tier: (OrderScaling((3, 32, 96)),) for tier in ("quick", "full")}
MEMORY_OF_ROOTS = {tier: (OrderScaling((32, 64, 144, 288)),) for tier in ("quick", "full")}
