"""Inputs of patch covariance and of deconvolution: frozen, seeded, named."""

import math
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.images import photograph
from ndbench.problems import dtype_name, relu_activations

Images = NDArray[np.float64]
Pair = int | tuple[int, int]

LARGE_MEAN = 1000.0
"""Mean of the first channel of "offset" data, in standard deviations."""


def pair(value: Pair) -> tuple[int, int]:
    """One integer stands for two equal ones."""
    return (value, value) if isinstance(value, int) else value


def _seeded(*parts: int | str) -> np.random.Generator:
    return np.random.default_rng([p if isinstance(p, int) else zlib.crc32(p.encode()) for p in parts])


def _normal(shape: tuple[int, ...], rng: np.random.Generator) -> Images:
    """Standard normal values."""
    return rng.standard_normal(shape)


def _integers(shape: tuple[int, ...], rng: np.random.Generator) -> Images:
    """Integers from -8 to 8."""
    return rng.integers(-8, 9, shape).astype(np.float64)


def _offset(shape: tuple[int, ...], rng: np.random.Generator) -> Images:
    """Standard deviation 1 about means of 1000, 1250, 1500, ... in successive channels."""
    means = LARGE_MEAN * (1 + np.arange(shape[1]) / 4)
    return rng.standard_normal(shape) + means[:, None, None]


def _coded(shape: tuple[int, ...], _: np.random.Generator) -> Images:
    """Integers that tell every pixel from every other: image n holds p + (-1)^n (p^2 mod 61) at the pixel number p."""
    number = np.arange(math.prod(shape[1:]), dtype=np.float64).reshape(shape[1:])
    sign = 1 - 2 * (np.arange(shape[0]) % 2)
    return number + sign[:, None, None, None] * (number**2 % 61)


DRAWN: dict[str, Callable[[tuple[int, ...], np.random.Generator], Images]] = {
    "normal": _normal,
    "integers": _integers,
    "offset": _offset,
    "coded": _coded,
}
"""Kinds of data that are drawn, or counted."""


@dataclass(frozen=True)
class CovarianceProblem:
    """Images, and which of their patches are taken.

    Attributes:
        N: images.
        C: channels.
        H: rows of an image.
        W: columns of an image.
        kernel_size: of the patches, an integer or a pair, as are the next three.
        stride: distance between patches.
        padding: zeros around the image.
        dilation: distance between neighbouring pixels of a patch.
        block: channels of a block, None for all.
        pooled: whether the blocks share one covariance.
        grouping: "channel" or "interleaved".
        eps: added to the diagonal.
        data: "normal", "integers" (-8 to 8), "offset" (standard deviation 1, another mean above 1000 in every channel),
            "coded" (every pixel another integer), "photograph:NAME" (crops, integers 0 to 255) or "relu:NAME" (crops of
            ReLU activations, whose means are several standard deviations).
        dtype: the type to which the images are rounded.
        seed: of the drawn data and of the places of crops.
    """

    N: int = 3
    C: int = 4
    H: int = 11
    W: int = 10
    kernel_size: Pair = 3
    stride: Pair = 1
    padding: Pair = 0
    dilation: Pair = 1
    block: int | None = None
    pooled: bool = True
    grouping: str = "channel"
    eps: float = 0.0
    data: str = "normal"
    dtype: torch.dtype = torch.float32
    seed: int = 0

    def __post_init__(self) -> None:
        if self.data not in DRAWN and self.data.split(":")[0] not in ("photograph", "relu"):
            known = (*DRAWN, "photograph:NAME", "relu:NAME")
            raise ValueError(f"CovarianceProblem: data must be one of {', '.join(known)}; got {self.data!r}")

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        size = f"{self.N}x{self.C}x{self.H}x{self.W}"
        parts = [self.data.replace(":", "_"), size, f"k{_times(self.kernel_size)}"]
        parts += [f"{key}{_times(v)}" for key, v, usual in self._geometry() if v != usual]
        parts += [f"block{self.block}"] if self.block else []
        parts += ["separate"] if not self.pooled else []
        parts += ["interleaved"] if self.grouping == "interleaved" else []
        parts += [f"eps{self.eps:g}"] if self.eps else []
        return "-".join([*parts, dtype_name(self.dtype), f"s{self.seed}"])

    def _geometry(self) -> tuple[tuple[str, Pair, int], ...]:
        return ("stride", self.stride, 1), ("pad", self.padding, 0), ("dil", self.dilation, 1)

    def x(self) -> Tensor:
        """The images, (N, C, H, W), rounded to the type."""
        return torch.from_numpy(self._images()).to(self.dtype)

    def arguments(self) -> dict[str, Any]:
        """The keywords of `ndbench.patch_covariance`."""
        names = ("kernel_size", "stride", "padding", "dilation", "block", "pooled", "grouping", "eps")
        return {name: getattr(self, name) for name in names}

    def _images(self) -> Images:
        shape = (self.N, self.C, self.H, self.W)
        rng = _seeded(self.seed, *shape, self.data)
        kind, _, name = self.data.partition(":")
        if kind == "photograph":
            return _crops(photograph(name).astype(np.float64), shape, rng)
        if kind == "relu":
            return _crops(relu_activations(name, self.C, self.seed), shape, rng)
        return DRAWN[kind](shape, rng)


def _times(value: Pair) -> str:
    """One number, or two as 3x5."""
    return str(value) if isinstance(value, int) else "x".join(map(str, value))


def _crops(image: Images, shape: tuple[int, ...], rng: np.random.Generator) -> Images:
    """Crops (H, W) at random places; where an image needs more channels than there are, from as many places."""
    N, C, H, W = shape
    count = -(-N * C // len(image))
    top = rng.integers(0, image.shape[1] - H + 1, count)
    left = rng.integers(0, image.shape[2] - W + 1, count)
    found = [image[:, t : t + H, s : s + W] for t, s in zip(top, left, strict=True)]
    return np.concatenate(found)[: N * C].reshape(shape).copy()


@dataclass(frozen=True)
class DeconvolutionProblem:
    """A weight, a bias, means and deconvolution matrices, and patches to apply them to.

    D is not symmetric, and its columns differ in size by up to 1000, as those of an inverse square root do.

    Attributes:
        channels: of the input.
        outputs: of the convolution.
        kernel_size: of the convolution, an integer or a pair; None for a linear layer.
        block: channels of a block, None for all of one group's channels.
        pooled: whether one mean and one D serve every block.
        grouping: "channel" or "interleaved".
        groups: of the convolution.
        biased: whether there is a bias.
        rows: patches.
        dtype: the type to which everything is rounded.
        seed: of the random values.
    """

    channels: int = 8
    outputs: int = 6
    kernel_size: Pair | None = 3
    block: int | None = None
    pooled: bool = True
    grouping: str = "channel"
    groups: int = 1
    biased: bool = True
    rows: int = 16
    dtype: torch.dtype = torch.float32
    seed: int = 0

    @property
    def name(self) -> str:
        """A name from which the problem can be told, and run again."""
        kernel = "linear" if self.kernel_size is None else f"k{_times(self.kernel_size)}"
        parts = [kernel, f"c{self.channels}", f"o{self.outputs}"]
        parts += [f"block{self.block}"] if self.block else []
        parts += [f"groups{self.groups}"] if self.groups > 1 else []
        parts += ["separate"] if not self.pooled else []
        parts += ["interleaved"] if self.grouping == "interleaved" else []
        parts += [] if self.biased else ["unbiased"]
        return "-".join([*parts, dtype_name(self.dtype), f"s{self.seed}"])

    @property
    def blocks(self) -> int:
        """The number G of blocks of all channels."""
        return self.channels // (self.block or self.channels // self.groups)

    @property
    def columns(self) -> int:
        """The number of columns of a patch, of all channels."""
        return self.channels * math.prod(pair(self.kernel_size or 1))

    def weight(self) -> Tensor:
        """(outputs, channels / groups, kh, kw), or (outputs, channels) for a linear layer."""
        kernel = () if self.kernel_size is None else pair(self.kernel_size)
        return self._drawn("weight", self.outputs, self.channels // self.groups, *kernel)

    def bias(self) -> Tensor | None:
        """The bias (outputs,), or None."""
        return self._drawn("bias", self.outputs) if self.biased else None

    def mean(self) -> Tensor:
        """(F,) pooled, else (G, F)."""
        shape = (self.columns // self.blocks,)
        return 3 * self._drawn("mean", *(shape if self.pooled else (self.blocks, *shape)))

    def matrix(self) -> Tensor:
        """D, (F, F) pooled, else (G, F, F)."""
        F = self.columns // self.blocks
        entries = self._drawn("D", *((F, F) if self.pooled else (self.blocks, F, F)), dtype=torch.float64)
        return (entries * torch.logspace(0, -3, F, dtype=torch.float64)).to(self.dtype)

    def patches(self) -> Tensor:
        """Rows of patches of all channels, (rows, columns); the first is zero, and shows the bias alone."""
        patches = 3 * self._drawn("about", 1, self.columns) + self._drawn("patches", self.rows, self.columns)
        patches[0] = 0
        return patches

    def _drawn(self, what: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        values = _seeded(self.seed, self.columns, what).standard_normal(shape)
        return torch.from_numpy(values).to(dtype or self.dtype)


Problem = CovarianceProblem | DeconvolutionProblem
