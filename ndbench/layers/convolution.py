"""Convolution of whitened patches."""

from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from ndbench.covariance.patches import Patches, pair
from ndbench.layers.options import (
    SAMPLING_STRIDE,
    Options,
    Others,
    block_of,
    check_grouping,
    check_sampling,
    check_switch,
)
from ndbench.layers.whitening import Whitening
from ndbench.operations.layer import folded

Size = int | tuple[int, int]


class Deconv2d(Whitening, nn.Conv2d):
    r"""Convolution of patches that are whitened first: network deconvolution in place of Conv2d + BatchNorm2d.

    With mean and covariance of the input's patches in blocks of channels, a block of rows X is convolved as

        D = (cov + eps I)^(-1/2),    y = b + (X - 1 mean) D w.

    D and mean are folded into weight and bias, so that evaluation costs a convolution, and training one more pass over
    some of the patches. It is a `torch.nn.Conv2d`, with the same parameters, so that what initializes those serves it.

    Evaluation keeps what it folded until a parameter or an average is written to. Writes through `.data`, as teachers
    are averaged by some, and those of fused optimizers are not seen: write to the parameter itself under
    `torch.no_grad()`, or call `eval()` afterwards.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: an integer or a pair, as are the next three.
        stride: of the convolution.
        padding: zeros added at both ends of each axis; they count as pixels in the statistics. "valid" is 0, "same" is
            taken for odd kernels and stride 1.
        dilation: distance between neighbouring pixels of a patch.
        groups: of the convolution; with more than one, blocks lie within groups and each has its own mean and D.
        bias: whether there is one.
        padding_mode: "zeros", as in `torch.nn.Conv2d`; there are no others here.
        eps: added to the diagonal of the covariance.
        steps: iterations T of the inverse square root.
        method: of the inverse square root, see `ndbench.inverse_sqrt`, as are lower and scaled_steps.
        momentum: m, the weight of a new batch in the running averages; None averages all batches alike.
        block: channels whitened together. All channels of a group if they are no more, else their largest divisor up to
            this.
        sampling_stride: patches counted in the statistics are this many strides of the convolution apart.
        grouping: "channel" for blocks of neighbouring channels, as the paper says; "interleaved" as published in code,
            see `ndbench.patch_covariance`.
        pooled: whether all blocks share mean and D; None for yes with one group, no with more.
        lower: minimax only.
        scaled_steps: "denman_beavers" only.
        track_running_stats: without it evaluation uses the statistics of its batch.
        running: "deconvolution" averages D, as published, "covariance" averages the covariance.
        bias_correction: whether the averages' initial values count for nothing from the first batch on.
        freeze_after: number of batches after which training too uses the averages; None for never. With it every step
            of training on a GPU synchronizes until then. Passes that checkpoints repeat are not counted again.
        sync: whether training takes the statistics of the batches of all processes together, see
            :func:`ndbench.layers.convert_sync`.
        device: of parameters and buffers.
        dtype: of parameters; buffers of 16-bit layers are float32, in which all statistics are computed.

    Raises:
        TypeError: `forward` raises it for inputs of another type than the weight's, outside autocast.
        ValueError: if an argument is out of its range. `forward` raises it for inputs without a patch or of other
            channels, for statistics of a single counted patch, whose covariance is zero, and on a CPU for those that
            are not finite (NaN, infinities, squares beyond float32). Such batches are not averaged. On a GPU, and in
            compiled graphs, what is not finite gives NaN, and `state_dict`, `train` or `eval` raise later.
        RuntimeError: in backward, if checkpoints repeat passes of one step of which some ran before `freeze_after`.

    Shape:
        input (N, C, H, W), output (N, O, Ho, Wo), or both without N, as those of Conv2d. One sample is enough where
        more than one of its patches is counted.

    Example:
        >>> import torch
        >>> from ndbench.layers import Deconv2d
        >>> layer = Deconv2d(3, 8, 3, padding=1)
        >>> images = torch.rand(16, 3, 12, 12, generator=torch.Generator().manual_seed(0))
        >>> layer(images).shape
        torch.Size([16, 8, 12, 12])
        >>> layer.eval()(images[:1]).shape
        torch.Size([1, 8, 12, 12])

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3 and Algorithm 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size | str = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        *,
        eps: float = 1e-5,
        steps: int = 5,
        method: str = "newton_schulz",
        momentum: float | None = 0.1,
        block: int | None = 64,
        sampling_stride: int = SAMPLING_STRIDE,
        grouping: str = "channel",
        pooled: bool | None = None,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **others: Unpack[Others],
    ) -> None:
        if padding_mode != "zeros":
            raise ValueError(
                f'Deconv2d: padding_mode must be "zeros", whose patches are known; got {padding_mode!r}; pad the input '
                "first, by torch.nn.functional.pad"
            )
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, device=device, dtype=dtype
        )
        options = Options.of(Deconv2d, eps=eps, steps=steps, method=method, momentum=momentum, **others)
        self.block = block_of(in_channels // groups, block, "Deconv2d")
        self.grouping, self.sampling_stride = grouping, sampling_stride
        self.pooled = groups == 1 if pooled is None else pooled
        self._check()
        order = self.block * self.kernel_size[0] * self.kernel_size[1]
        self.whiten_by(options, order, None if self.pooled else in_channels // self.block, device, self.weight.dtype)

    def _check(self) -> None:
        """Refuse what Conv2d accepts and this layer cannot do."""
        for size in ("kernel_size", "stride", "dilation"):
            pair(size, getattr(self, size), least=1, operation="Deconv2d")
        self._zeros()
        check_grouping(self.grouping, self.groups, "Deconv2d")
        check_sampling(self.sampling_stride, "Deconv2d")
        check_switch(self.pooled, "pooled", "Deconv2d")
        even = any(d * (k - 1) % 2 for k, d in zip(self.kernel_size, self.dilation, strict=True))
        if self.padding == "same" and even:
            raise ValueError(
                f'Deconv2d: padding="same" needs odd kernels or even dilations, got kernel {self.kernel_size}'
            )

    @property
    def patches(self) -> Patches:
        """The patches whose statistics are taken."""
        return Patches.of(
            self.kernel_size,
            stride=[step * self.sampling_stride for step in self.stride],
            padding=self._zeros(),
            dilation=self.dilation,
            block=self.block,
            pooled=self.pooled,
            grouping=self.grouping,
        )

    def _zeros(self) -> tuple[int, int]:
        """The padding of both axes as numbers."""
        if not isinstance(self.padding, str):
            return pair("padding", self.padding, least=0, operation="Deconv2d")
        if self.padding == "valid":
            return 0, 0
        (kh, kw), (dh, dw) = self.kernel_size, self.dilation
        return dh * (kh - 1) // 2, dw * (kw - 1) // 2

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the patches that are counted."""
        return self.moments_of(x, self.patches)

    def fold(self, mean: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias that subtract this mean and multiply by this D first, in the weight's type."""
        return folded(self.weight, self.bias, mean, D, self.grouping)

    def batched(self, x: Tensor) -> Tensor:
        """An image alone is a batch of one."""
        return x[None] if x.ndim == 3 else x

    def require(self, x: Tensor) -> None:
        """Refuse an input of other channels, or another type, than the weight's."""
        self.check_input(x, self.in_channels, -3, self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of the input's whitened patches."""
        self.require(input)
        weight, bias = self.fold_for(self.batched(input))
        return functional.conv2d(input, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """The convolution's own, and how it whitens."""
        return f"{nn.Conv2d.extra_repr(self)}, {self.whitening_repr()}"  # type: ignore[no-untyped-call]
