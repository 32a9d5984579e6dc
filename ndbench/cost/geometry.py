"""A convolution and how it is deconvolved: the numbers that all models are functions of."""

import math
from dataclasses import dataclass

from ndbench.cost.roots import FORWARD as METHODS
from ndbench.covariance.patches import Pair, Patches, pair
from ndbench.covariance.work import Shape
from ndbench.layers.options import block_of, check_grouping, check_sampling

NAME = "Layer"
LARGEST = 2**31
"""Sizes, which kernels count in 32 bits."""
NUMBERS = 2**40
"""Of one tensor, 4 TiB in float32: no device holds them, and kernels count their programs in 32 bits."""


@dataclass(frozen=True)
class Whitening:
    """How a layer is deconvolved, whatever its convolution is; the defaults are those of `ndbench.layers.Deconv2d`.

    Attributes:
        block: channels whitened together: all of a group if they are no more, else their largest divisor up to this.
        sampling: patches counted in the statistics are this many strides of the convolution apart.
        method: of the inverse square root.
        steps: T.
        grouping: "channel" or "interleaved".
    """

    block: int | None = 64
    sampling: int = 3
    method: str = "newton_schulz"
    steps: int = 5
    grouping: str = "channel"

    def __post_init__(self) -> None:
        check_sampling(self.sampling, NAME)
        # which checks the block
        block_of(1, self.block, NAME)
        check_grouping(self.grouping, 1, NAME)
        if self.method not in METHODS:
            raise ValueError(f"{NAME}: method must be one of {', '.join(METHODS)}; got {self.method!r}")
        if self.steps < 1:
            raise ValueError(f"{NAME}: steps must be at least 1; got {self.steps}")


@dataclass(frozen=True)
class Convolution:
    """A convolution of some input.

    Attributes:
        shape: of the input, (N, C, H, W).
        outputs: channels of the output, O.
        kernel_size: rows and columns of the kernel.
        stride: of the convolution, as are the next two.
        padding: zeros at both ends of each axis.
        dilation: distance between neighbouring pixels of a patch.
        groups: of the convolution.
        input_gradient: whether a training step needs the gradient with respect to the input: not in a first layer.
    """

    shape: Shape
    outputs: int
    kernel_size: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    input_gradient: bool = True

    def __post_init__(self) -> None:
        if len(self.shape) != 4 or self.outputs < 1 or self.groups < 1:
            raise ValueError(
                f"{NAME}: the input must be N x C x H x W, outputs and groups at least 1; got {self.shape},"
                f" {self.outputs} and {self.groups}"
            )
        if max(*self.shape, self.outputs) >= LARGEST:
            raise ValueError(f"{NAME}: every size must be below 2^31; got {self.shape}, {self.outputs}")
        if self.shape[1] % self.groups or self.outputs % self.groups:
            raise ValueError(
                f"{NAME}: {self.groups} groups must divide the {self.shape[1]} channels and the {self.outputs} outputs"
            )
        try:
            self.patches_at(1).check(self.shape)
        except ValueError as error:
            raise ValueError(f"{NAME}: {str(error).removeprefix('patch_covariance: ')}") from error

    @classmethod
    def of(
        cls,
        shape: Shape,
        outputs: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair = 0,
        dilation: Pair = 1,
        groups: int = 1,
        input_gradient: bool = True,
    ) -> "Convolution":
        """Read integers as pairs.

        Raises:
            TypeError: for what holds something other than integers.
            ValueError: for what describes no convolution, or none of this input.

        Example:
            >>> Convolution.of((128, 64, 32, 32), 64, 3, padding=1).output_size
            (32, 32)
        """
        return cls(
            shape,
            outputs,
            pair("kernel", kernel_size, least=1, operation=NAME),
            pair("stride", stride, least=1, operation=NAME),
            pair("padding", padding, least=0, operation=NAME),
            pair("dilation", dilation, least=1, operation=NAME),
            groups,
            input_gradient,
        )

    def patches_at(self, sampling: int, block: int | None = None, grouping: str = "channel") -> Patches:
        """The patches so many strides apart, one for each output if 1; groups have statistics of their own."""
        return Patches.of(
            self.kernel_size,
            stride=[step * sampling for step in self.stride],
            padding=self.padding,
            dilation=self.dilation,
            block=block,
            pooled=self.groups == 1,
            grouping=grouping,
        )

    @property
    def output_size(self) -> tuple[int, int]:
        """Rows and columns of the output."""
        return self.patches_at(1).output_size(*self.shape[2:])


@dataclass(frozen=True)
class Layer:
    """A convolution that is deconvolved.

    Attributes:
        convolution: which.
        whitening: how.
        name: of the layer in its network.
    """

    convolution: Convolution
    whitening: Whitening = Whitening()
    name: str = ""

    def __post_init__(self) -> None:
        check_grouping(self.whitening.grouping, self.convolution.groups, NAME)
        for what, numbers in self._tensors().items():
            if numbers >= NUMBERS:
                raise ValueError(f"{NAME}: the {what} must have fewer than 2^40 numbers; got {numbers}")

    def _tensors(self) -> dict[str, int]:
        """How many numbers the largest tensors have, if all exist at once."""
        conv, offsets = self.convolution, self.patches.offsets
        images, channels, height, width = conv.shape
        return {
            "input": images * channels * height * width,
            "output": images * conv.outputs * math.prod(conv.output_size),
            "weight": conv.outputs * channels // conv.groups * offsets,
            "patches": images * channels * math.prod(self.patches.output_size(height, width)) * offsets,
            "covariance": self.matrices * self.order**2,
        }

    @property
    def block(self) -> int:
        """Channels whitened together, B."""
        return block_of(self.convolution.shape[1] // self.convolution.groups, self.whitening.block, NAME)

    @property
    def patches(self) -> Patches:
        """The patches whose statistics are taken."""
        return self.convolution.patches_at(self.whitening.sampling, self.block, self.whitening.grouping)

    @property
    def order(self) -> int:
        """The order F = B kh kw of the covariance."""
        return self.block * self.patches.offsets

    @property
    def matrices(self) -> int:
        """How many covariances there are."""
        return 1 if self.patches.pooled else self.convolution.shape[1] // self.block


def linear(shape: tuple[int, int], outputs: int, whitening: Whitening, *, input_gradient: bool = True) -> Layer:
    """A `ndbench.layers.DeconvLinear`: the convolution of one pixel, whose images are the rows.

    Args:
        shape: rows and features, (N, C).
        outputs: features of the output.
        whitening: with a sampling of 1, since every row counts.
        input_gradient: as of a convolution.

    Raises:
        ValueError: for rows that are sampled.

    Example:
        >>> linear((128, 512), 10, Whitening(512, sampling=1)).order
        512
    """
    if whitening.sampling != 1:
        raise ValueError(f"{NAME}: a linear layer counts every row, so sampling must be 1; got {whitening.sampling}")
    return Layer(Convolution((*shape, 1, 1), outputs, (1, 1), input_gradient=input_gradient), whitening)
