"""Linear layer of whitened features."""

from typing import Any, Unpack

import torch
from torch import Tensor, nn
from torch.nn import functional

from ndbench.covariance.patches import Patches
from ndbench.layers.options import Options, Others, block_of, check_grouping, check_switch
from ndbench.layers.whitening import Whitening
from ndbench.operations.layer import folded


class DeconvLinear(Whitening, nn.Linear):
    """Linear layer of features that are whitened first, y = b + (x - mean) D w, the Deconv2d of one pixel.

    Evaluation keeps what it folded, and does not see writes through `.data`: see :class:`Deconv2d`.

    Args:
        in_features: C.
        out_features: O.
        bias: whether there is one.
        block: features whitened together. All if they are no more, else their largest divisor up to this.
        eps: added to the diagonal of the covariance.
        steps: iterations T of the inverse square root.
        method: of the inverse square root, see `ndbench.inverse_sqrt`, as are lower and scaled_steps.
        momentum: as are all others, see :class:`Deconv2d`.
        grouping: "channel" for blocks of neighbouring features, "interleaved" for features c = g (mod C / block).
        pooled: whether all blocks share mean and D.
        lower: minimax only.
        scaled_steps: "denman_beavers" only.
        track_running_stats: without it evaluation uses the statistics of its batch.
        running: "deconvolution" or "covariance".
        bias_correction: whether the averages' initial values count for nothing from the first batch on.
        freeze_after: number of batches after which training too uses the averages; None for never.
        sync: whether training takes the statistics of the batches of all processes together, see
            :func:`ndbench.layers.convert_sync`.
        device: of parameters and buffers.
        dtype: of parameters.

    Raises:
        ValueError: as :class:`Deconv2d`; `forward` raises it too for an empty batch.

    Shape:
        input (..., C), output (..., O); all leading dimensions count as rows.

    Example:
        >>> import torch
        >>> from ndbench.layers import DeconvLinear
        >>> layer = DeconvLinear(6, 2)
        >>> layer(torch.randn(32, 6, generator=torch.Generator().manual_seed(0))).shape
        torch.Size([32, 2])

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3.4.
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        block: int | None = 512,
        eps: float = 1e-5,
        steps: int = 5,
        method: str = "newton_schulz",
        momentum: float | None = 0.1,
        grouping: str = "channel",
        pooled: bool = True,
        device: Any = None,
        dtype: torch.dtype | None = None,
        **others: Unpack[Others],
    ) -> None:
        super().__init__(in_features, out_features, bias, device=device, dtype=dtype)
        options = Options.of(DeconvLinear, eps=eps, steps=steps, method=method, momentum=momentum, **others)
        check_grouping(grouping, 1, "DeconvLinear")
        check_switch(pooled, "pooled", "DeconvLinear")
        self.block, self.grouping, self.pooled = block_of(in_features, block, "DeconvLinear"), grouping, pooled
        groups = None if pooled else in_features // self.block
        self.whiten_by(options, self.block, groups, device, self.weight.dtype)

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and covariance of the features, all leading dimensions being rows."""
        patches = Patches((1, 1), block=self.block, pooled=self.pooled, grouping=self.grouping)
        return self.moments_of(x.reshape(-1, x.shape[-1], 1, 1), patches)

    def fold(self, mean: Tensor, D: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias that subtract this mean and multiply by this D first, in the weight's type."""
        return folded(self.weight, self.bias, mean, D, self.grouping)

    def require(self, x: Tensor) -> None:
        """Refuse an input of other features, or another type, than the weight's."""
        self.check_input(x, self.in_features, -1, self.weight)

    def forward(self, input: Tensor) -> Tensor:
        """The linear map of the input's whitened features."""
        self.require(input)
        weight, bias = self.fold_for(input)
        return functional.linear(input, weight, bias)

    def extra_repr(self) -> str:
        """The linear layer's own, and how it whitens."""
        return f"{super().extra_repr()}, {self.whitening_repr()}"
