"""The published layers under their published names: same arguments, state dicts, outputs and gradients.

They differ from the layers of this package in what the paper does not say or says otherwise (docs/layers.md):

- `FastDeconv` and `ChannelDeconv` interleave the groups: for kernels above 1 a block mixes channels and offsets.
- A block that does not divide the channels becomes the greatest common divisor of both.
- Running averages start at mean zero and D = I, which count until they have faded.
- Kernels of one pixel count every s^2-th row of the flattened batch, s the sampling stride, instead of every s-th line
  and column, and no padding.
- `ChannelDeconv` subtracts the mean, but takes the second moment of the samples before that; channels beyond the last
  whole block are normalized by one mean and variance.

References:
    Ye et al., Network Deconvolution, ICLR 2020, and the code published with it (models/deconv.py).
"""

import math
from typing import Any

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.layers.averages import Averaging
from ndbench.layers.convolution import Deconv2d, Size
from ndbench.layers.faults import refuse
from ndbench.layers.linear import DeconvLinear
from ndbench.layers.memo import full_precision
from ndbench.layers.options import require_floats, require_tensor
from ndbench.layers.repetition import is_repetition
from ndbench.layers.values import waits
from ndbench.operations.roots import unguarded


class FastDeconv(Deconv2d):
    """The published convolution layer.

    Args:
        in_channels: C.
        out_channels: O.
        kernel_size: an integer or a pair, as are the next three.
        stride: of the convolution.
        padding: zeros added at both ends of each axis.
        dilation: distance between neighbouring pixels of a patch.
        groups: of the convolution; with more than one, a block is a group.
        bias: whether there is one; the published layer fails without.
        eps: added to the diagonal of the covariance.
        n_iter: Newton-Schulz steps.
        momentum: weight of a new batch in the running averages.
        block: channels whitened together.
        sampling_stride: patches counted are this many strides of the convolution apart.
        freeze: whether only the first `freeze_iter` + 1 of every 10 `freeze_iter` batches are counted, and the others
            whitened by the averages.
        freeze_iter: see freeze. As published, a state dict does not tell how many batches there were.

    Example:
        >>> import torch
        >>> from ndbench.layers.published import FastDeconv
        >>> sorted(FastDeconv(4, 2, 3).state_dict())
        ['bias', 'running_deconv', 'running_mean', 'weight']
    """

    takes_single_rows = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        stride: Size = 1,
        padding: Size = 0,
        dilation: Size = 1,
        groups: int = 1,
        bias: bool = True,
        eps: float = 1e-5,
        n_iter: int = 5,
        momentum: float = 0.1,
        block: int = 64,
        sampling_stride: int = 3,
        freeze: bool = False,
        freeze_iter: int = 100,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            eps=eps,
            steps=n_iter,
            momentum=momentum,
            block=published_block(in_channels, block) if groups == 1 else in_channels // groups,
            sampling_stride=sampling_stride,
            grouping="interleaved" if groups == 1 else "channel",
            bias_correction=False,
        )
        self.register_buffer("num_batches_tracked", self.num_batches_tracked, persistent=False)
        self.freeze, self.freeze_iter, self.counter = freeze, freeze_iter, 0

    def reset_running_stats(self) -> None:
        """Averages, and the count of batches, as they were before any."""
        super().reset_running_stats()
        self.counter = 0

    @property
    def frozen(self) -> bool:
        """Whether this batch of training is whitened by the averages."""
        return self.freeze and self.counter > self.freeze_iter

    @property
    def _step(self) -> int:
        return self.sampling_stride * self.stride[0]

    @property
    def counts_rows(self) -> bool:
        """Whether rows of the flattened batch are counted by their number, and not patches by their place."""
        return max(self.kernel_size) == 1 and self._step > 1

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the patches that are counted."""
        if max(self.kernel_size) > 1:
            return super().moments(x)
        rows = x.movedim(1, -1).reshape(-1, self.in_channels)[:: self._step**2]
        patches = Patches((1, 1), block=self.block, pooled=self.pooled, grouping=self.grouping)
        return self.moments_of(rows[:, :, None, None], patches)

    def forward(self, input: Tensor) -> Tensor:
        """The convolution of the input's whitened patches."""
        y = super().forward(input)
        if self.training and not is_repetition():
            self.counter = (self.counter + 1) % (10 * self.freeze_iter)
        return y

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        """The mean of all groups is one vector."""
        super()._save_to_state_dict(destination, prefix, keep_vars)
        destination[prefix + "running_mean"] = destination[prefix + "running_mean"].flatten()

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """The mean of all groups is one vector."""
        mean = state_dict.get(prefix + "running_mean")
        if mean is not None and self.running_mean is not None and mean.numel() == self.running_mean.numel():
            state_dict = {**state_dict, prefix + "running_mean": mean.reshape(self.running_mean.shape)}
        super()._load_from_state_dict(state_dict, prefix, *rest)


class Delinear(DeconvLinear):
    """The published linear layer: features in blocks of neighbours, averages that start at zero and I.

    Args:
        in_features: C.
        out_features: O.
        bias: whether there is one.
        eps: added to the diagonal of the covariance.
        n_iter: Newton-Schulz steps.
        momentum: weight of a new batch in the running averages.
        block: features whitened together.

    Example:
        >>> from ndbench.layers.published import Delinear
        >>> Delinear(96, 10, block=64).block
        32
    """

    takes_single_rows = True

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        eps: float = 1e-5,
        n_iter: int = 5,
        momentum: float = 0.1,
        block: int = 512,
    ) -> None:
        block = published_block(in_features, block)
        super().__init__(
            in_features,
            out_features,
            bias,
            block=block,
            eps=eps,
            steps=n_iter,
            momentum=momentum,
            bias_correction=False,
        )
        self.register_buffer("num_batches_tracked", self.num_batches_tracked, persistent=False)


class ChannelDeconv(Averaging):
    """The published channel layer, for (N, C) and (N, C, H, W).

    Of the first C' channels, the largest multiple of `block`, those with the same c // (C' / block) share a column of
    the data matrix X. With S every s^2-th row of X, s the sampling stride where the image is that large, else all,

        mean = mean of S,    D = (S^T S / rows + eps I)^(-1/2),    y = (X - mean) D,

    S not being centered. The other channels are centered and divided by (var + eps)^(1/2), one number for all. It is
    computed in float32 or better, and rounded to the input's type at the end.

    Args:
        block: channels whitened together; there must be as many.
        eps: added to the diagonal and to the variance.
        n_iter: Newton-Schulz steps.
        momentum: weight of a new batch in the running averages; the first batch counts whole.
        sampling_stride: s.

    Raises:
        TypeError: for inputs that are not real floating point.
        ValueError: for other shapes, fewer channels than a block, or (training) statistics that are not finite.
        RuntimeError: for evaluation before any batch of training. On a GPU, and in compiled graphs, this gives NaN, and
            so do statistics that are not finite, for which `state_dict`, `train` or `eval` raise later.

    Example:
        >>> import torch
        >>> from ndbench.layers.published import ChannelDeconv
        >>> ChannelDeconv(4)(torch.randn(8, 9, 5, 5, generator=torch.Generator().manual_seed(0))).shape
        torch.Size([8, 9, 5, 5])
    """

    num_batches_tracked: Tensor

    def __init__(
        self, block: int, eps: float = 1e-2, n_iter: int = 5, momentum: float = 0.1, sampling_stride: int = 3
    ) -> None:
        super().__init__()
        self.block, self.eps, self.n_iter, self.momentum = block, eps, n_iter, momentum
        self.sampling_stride = sampling_stride
        wide = torch.promote_types(torch.get_default_dtype(), torch.float32)
        self.register_buffer("running_mean1", torch.zeros(block, 1, dtype=wide))
        self.register_buffer("running_deconv", torch.eye(block, dtype=wide))
        self.register_buffer("running_mean2", torch.zeros(1, 1, dtype=wide))
        self.register_buffer("running_var", torch.ones(1, 1, dtype=wide))
        self.register_buffer("num_batches_tracked", torch.tensor(0, dtype=torch.long))
        self.register_buffer("faulty", torch.tensor(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """The input with whitened channels, in its type."""
        self._require(x)
        # D X and D mean cancel: 16 bits would leave no digits of what is left
        with full_precision(x.device):
            images = (x.reshape(*x.shape, 1, 1) if x.ndim == 2 else x).to(torch.promote_types(x.dtype, torch.float32))
            whole = images.shape[1] // self.block * self.block
            statistics = self._statistics(images, whole) if self.training else self._known()
            mean, D, mean_of_rest, var = (value.to(images.dtype) for value in statistics)
            X = images[:, :whole].movedim(1, 0).reshape(self.block, -1)
            white = (D @ (X - mean)).reshape(whole, len(images), *images.shape[2:]).movedim(0, 1)
            rest = (images[:, whole:] - mean_of_rest) / (var + self.eps).sqrt()
            return torch.cat([white, rest], 1).reshape(x.shape).to(x.dtype)

    def _require(self, x: Tensor) -> None:
        """Refuse other shapes and types."""
        require_tensor(x, "ChannelDeconv")
        if x.ndim not in (2, 4) or x.shape[1] < self.block or x.numel() == 0:
            raise ValueError(
                f"ChannelDeconv: the input must be (N, C) or (N, C, H, W) with at least {self.block} channels, and "
                f"not be empty; got shape {tuple(x.shape)}"
            )
        require_floats(x, "ChannelDeconv")

    def _known(self) -> tuple[Tensor, ...]:
        """The averages, if there was a batch."""
        some = self.num_batches_tracked > 0
        if waits(some):
            if not some:
                raise RuntimeError("ChannelDeconv: there are no statistics yet; train first")
            return self._averages()
        return tuple(torch.where(some, average, torch.nan) for average in self._averages())

    def _statistics(self, x: Tensor, whole: int) -> tuple[Tensor, ...]:
        """Those of the batch, taken into the averages."""
        step = self.sampling_stride if min(x.shape[2:]) >= self.sampling_stride else 1
        S = x[:, :whole].movedim(1, 0).reshape(self.block, -1)[:, :: step**2]
        mean = S.mean(-1, keepdim=True)
        cov = S @ S.mT / S.shape[1] + self.eps * torch.eye(self.block, dtype=x.dtype, device=x.device)
        D = unguarded(cov, method="newton_schulz", steps=self.n_iter, lower=1e-4, scaled_steps=None)
        found = (mean, D, *self._of_rest(x[:, whole:].flatten(1)[:, :: step**2]))
        fine = torch.stack([value.isfinite().all() for value in found]).all()
        if waits(x) and not fine:
            refuse(self, "statistics are not finite")
        if not is_repetition():
            self._average(found, fine)
        if waits(x):
            return found
        self.faulty |= ~fine
        return tuple(torch.where(fine, value, torch.nan) for value in found)

    @torch.no_grad()
    def _average(self, found: tuple[Tensor, ...], fine: Tensor) -> None:
        """Take the statistics of a batch into the averages if they are fine; nothing synchronizes."""
        first = self.num_batches_tracked == 0
        for average, new in zip(self._averages(), found, strict=True):
            weight = torch.full_like(average, self.momentum).masked_fill(first, 1.0)
            average.copy_(torch.where(fine, average.lerp(new.to(average.dtype), weight), average))
        self.num_batches_tracked += fine

    def _of_rest(self, rest: Tensor) -> tuple[Tensor, ...]:
        """Mean and variance of the channels beyond the last whole block, if there are any."""
        if rest.shape[1] == 0:
            return self._averages()[2:]
        return rest.mean().reshape(1, 1), rest.var().reshape(1, 1)

    def _averages(self) -> tuple[Tensor, ...]:
        return tuple(
            getattr(self, name) for name in ("running_mean1", "running_deconv", "running_mean2", "running_var")
        )


def published_block(channels: int, block: int) -> int:
    """The greatest common divisor, or all channels if they are fewer than a block."""
    return channels if block > channels else math.gcd(block, channels)
