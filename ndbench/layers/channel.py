"""Channel deconvolution: what batch normalization does to one channel at a time, for blocks of channels."""

from typing import Any, Unpack

import torch
from torch import Tensor, nn

from ndbench.covariance.patches import Patches
from ndbench.layers.memo import full_precision
from ndbench.layers.options import (
    SAMPLING_STRIDE,
    Options,
    Passed,
    block_of,
    check_grouping,
    check_sampling,
    check_switch,
    require_floats,
    require_tensor,
)
from ndbench.layers.whitening import Whitening


class ChannelDeconv(Whitening):
    """Channels whitened in blocks, over any number of spatial axes.

    With mean and covariance of the C channels of all pixels, in blocks of channels,

        D = (cov + eps I)^(-1/2),    y = ((x - mean) D) weight + bias,

    where weight and bias, one number a channel, exist if `affine`. It is computed as a convolution of one pixel, in
    float32 or better, and rounded to the input's type at the end. Evaluation keeps what it folded, and does not see
    writes through `.data`: see :class:`Deconv2d`.

    Args:
        num_features: C.
        eps: added to the diagonal of the covariance; larger than that of :class:`Deconv2d`, as published.
        momentum: m, the weight of a new batch in the running averages; None averages all batches alike.
        affine: whether there are a weight and a bias; off, since what follows usually multiplies.
        track_running_stats: without it evaluation uses the statistics of its batch.
        block: channels whitened together. All channels if they are no more, else their largest divisor up to this.
        steps: iterations T of the inverse square root.
        method: of the inverse square root, see `ndbench.inverse_sqrt`, as are lower and scaled_steps.
        sampling_stride: distance of the pixels that are counted, along every spatial axis.
        grouping: "channel" for blocks of neighbouring channels, "interleaved" for channels c = g (mod C / block).
        pooled: whether all blocks share mean and D.
        lower: minimax only.
        scaled_steps: "denman_beavers" only.
        running: "deconvolution" averages D, as published, "covariance" averages the covariance.
        bias_correction: whether the averages' initial values count for nothing from the first batch on.
        freeze_after: number of batches after which training too uses the averages; None for never.
        sync: whether training takes the statistics of the batches of all processes together, see
            :func:`ndbench.layers.convert_sync`.
        device: of parameters and buffers.
        dtype: of parameters; buffers are float32 or better.

    Raises:
        TypeError: `forward` raises it for inputs that are not real floating point.
        ValueError: as :class:`Deconv2d`; `forward` raises it too for an input of other dimensions or channels.

    Shape:
        input (N, C, L), (N, C, H, W) or (N, C, D, H, W), output the same. :class:`ChannelDeconv1d` takes (N, C) too, as
        sequences of length 1, which is what `torch.nn.BatchNorm1d` does.

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3.1.
    """

    axes: int

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-2,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = True,
        *,
        block: int | None = 64,
        steps: int = 5,
        method: str = "newton_schulz",
        sampling_stride: int = SAMPLING_STRIDE,
        grouping: str = "channel",
        pooled: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **others: Unpack[Passed],
    ) -> None:
        super().__init__()
        name = type(self).__name__
        named: dict[str, Any] = {"eps": eps, "momentum": momentum, "track_running_stats": track_running_stats}
        options = Options.of(type(self), steps=steps, method=method, **named, **others)
        check_grouping(grouping, 1, name)
        check_sampling(sampling_stride, name)
        check_switch(affine, "affine", name)
        check_switch(pooled, "pooled", name)
        self.num_features, self.affine, self.sampling_stride = num_features, affine, sampling_stride
        self.block, self.grouping, self.pooled = block_of(num_features, block, name), grouping, pooled
        dtype = dtype or torch.get_default_dtype()
        self.weight, self.bias = (
            nn.Parameter(torch.empty(num_features, device=device, dtype=dtype)) if affine else None for _ in range(2)
        )
        self.whiten_by(options, self.block, None if pooled else num_features // self.block, device, dtype)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1 and bias 0, and averages as they were before any batch."""
        if self.weight is not None and self.bias is not None:
            nn.init.ones_(self.weight)
            nn.init.zeros_(self.bias)
        self.reset_running_stats()

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the channels of the pixels that are counted."""
        counted = x
        for axis in range(2, x.ndim):
            counted = counted[(slice(None),) * axis + (slice(None, None, self.sampling_stride),)]
        pixels = counted.reshape(*x.shape[:2], 1, counted.shape[2:].numel())
        patches = Patches((1, 1), block=self.block, pooled=self.pooled, grouping=self.grouping)
        return self.moments_of(pixels, patches)

    def fold(self, mean: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
        """The matrices D^T of the blocks, (B, B) or (G, B, B), their rows scaled by the weight, and the constants."""
        groups = self.num_features // self.block
        matrix, constant = D.mT, -(D.mT @ mean[..., None])
        if self.weight is not None and self.bias is not None:
            weight, bias = (self._by_blocks(v.to(D.dtype)[None], groups)[0] for v in (self.weight, self.bias))
            matrix, constant = weight * matrix, weight * constant + bias
        return matrix, constant

    def forward(self, input: Tensor) -> Tensor:
        """The input with whitened channels, in its type and layout of memory."""
        self.require(input)
        matrix, constant = self.fold_for(input)
        # D x and D mean cancel: 16 bits would leave no digits of what is left
        with full_precision(input.device):
            wide = torch.promote_types(input.dtype, matrix.dtype)
            blocks = self._by_blocks(input.to(wide), self.num_features // self.block)
            y = (matrix.to(wide) @ blocks + constant.to(wide)).to(input.dtype)
        if self.grouping == "interleaved":
            y = y.transpose(1, 2)
        return y.reshape(input.shape).contiguous(memory_format=_layout(input))

    def require(self, x: Tensor) -> None:
        """Refuse other dimensions, channels and types than this layer's."""
        require_tensor(x, type(self).__name__)
        # rows are sequences of length 1, as in BatchNorm1d
        dimensions = (2, 3) if self.axes == 1 else (self.axes + 2,)
        if x.ndim not in dimensions or x.shape[1] != self.num_features:
            raise ValueError(
                f"{type(self).__name__}: the input must have {' or '.join(map(str, dimensions))} dimensions and "
                f"{self.num_features} channels; got shape {tuple(x.shape)}"
            )
        require_floats(x, type(self).__name__)

    def _by_blocks(self, x: Tensor, groups: int) -> Tensor:
        """(N, C, ...) as (N, G, B, pixels)."""
        pixels = x.shape[2:].numel()
        if self.grouping == "interleaved":
            return x.reshape(x.shape[0], self.block, groups, pixels).transpose(1, 2)
        return x.reshape(x.shape[0], groups, self.block, pixels)

    def extra_repr(self) -> str:
        """The channels, and how they are whitened."""
        return f"{self.num_features}, affine={self.affine}, {self.whitening_repr()}"


def _layout(x: Tensor) -> torch.memory_format:
    """Channels last where that is how x lies, as other layers keep it."""
    last = {4: torch.channels_last, 5: torch.channels_last_3d}.get(x.ndim)
    if last is None or x.is_contiguous() or not x.is_contiguous(memory_format=last):
        return torch.contiguous_format
    return last


class ChannelDeconv1d(ChannelDeconv):
    """Channel deconvolution of sequences (N, C, L), or of rows (N, C); arguments as those of :class:`ChannelDeconv`.

    Example:
        >>> import torch
        >>> from ndbench.layers import ChannelDeconv1d
        >>> layer = ChannelDeconv1d(4)
        >>> layer(torch.randn(8, 4, 30, generator=torch.Generator().manual_seed(0))).shape
        torch.Size([8, 4, 30])
        >>> layer(torch.randn(8, 4, generator=torch.Generator().manual_seed(0))).shape
        torch.Size([8, 4])
    """

    axes = 1


class ChannelDeconv2d(ChannelDeconv):
    """Channel deconvolution of images, (N, C, H, W); arguments as those of :class:`ChannelDeconv`.

    Example:
        >>> import torch
        >>> from ndbench.layers import ChannelDeconv2d
        >>> x = torch.randn(64, 2, 16, 16, generator=torch.Generator().manual_seed(0))
        >>> mixed = torch.stack((x[:, 0], x[:, 0] + 0.5 * x[:, 1]), 1)
        >>> white = ChannelDeconv2d(2, eps=0.0, steps=15, sampling_stride=1)(mixed)
        >>> torch.allclose(torch.cov(white.movedim(1, 0).flatten(1)), torch.eye(2), atol=1e-3)
        True
    """

    axes = 2


class ChannelDeconv3d(ChannelDeconv):
    """Channel deconvolution of volumes, (N, C, D, H, W); arguments as those of :class:`ChannelDeconv`.

    Example:
        >>> import torch
        >>> from ndbench.layers import ChannelDeconv3d
        >>> layer = ChannelDeconv3d(4, block=2)
        >>> layer(torch.randn(2, 4, 5, 6, 7, generator=torch.Generator().manual_seed(0))).shape
        torch.Size([2, 4, 5, 6, 7])
    """

    axes = 3
