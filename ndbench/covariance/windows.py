"""An independent computation in numpy, for comparison only: it shares no code with the other algorithms."""

from typing import Any, NoReturn

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function

from ndbench.covariance.patches import Patches

Array = NDArray[np.float64]
REFUSAL = 'windows: x must not require a gradient, because numpy computes none; detach x or choose "im2col"'


def windows(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the patches, from sliding windows in float64, rounded once to x's type.

    Args:
        x: input, shape (N, C, H, W), that needs no gradient.
        patches: which patches, and their blocks.

    Returns:
        mean (F,) and covariance (F, F) of pooled groups, or (G, F) and (G, F, F) of separate ones, in x's type.

    Raises:
        ValueError: x requires a gradient, which numpy cannot give.
        NotImplementedError: in forward mode.
    """
    if x.requires_grad:
        raise ValueError(REFUSAL)
    mean, cov = _Windows.apply(x, patches)  # type: ignore[no-untyped-call]
    return mean, cov


class _Windows(Function):
    """Refuses forward mode, in which an input carries its tangent unseen."""

    @staticmethod
    def forward(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
        return _computed(x, patches)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        ctx.mark_non_differentiable(*output)

    @staticmethod
    def jvp(ctx: Any, *_: Any) -> NoReturn:
        raise NotImplementedError(REFUSAL)

    @staticmethod
    def vmap(_: Any, in_dims: tuple[int, None], x: Tensor, patches: Patches) -> tuple[tuple[Tensor, Tensor], int]:
        found = [windows(one, patches) for one in x.movedim(in_dims[0], 0)]
        means, covs = zip(*found, strict=True)
        return (torch.stack(means), torch.stack(covs)), 0


def _computed(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    rows = patch_rows(x.to("cpu", torch.float64).numpy(), patches)
    blocks = [rows[:, columns] for columns in block_columns(x.shape[1], patches)]
    if patches.pooled:
        mean, cov = mean_and_covariance(np.concatenate(blocks))
    else:
        mean, cov = (np.stack(parts) for parts in zip(*map(mean_and_covariance, blocks), strict=True))
    return torch.from_numpy(mean).to(x), torch.from_numpy(cov).to(x)


def patch_rows(x: Array, patches: Patches) -> Array:
    """All patches as rows (N Ho Wo, C kh kw)."""
    (kh, kw), (dh, dw), (sh, sw), (ph, pw) = patches.kernel_size, patches.dilation, patches.stride, patches.padding
    padded = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    view = sliding_window_view(padded, (dh * (kh - 1) + 1, dw * (kw - 1) + 1), axis=(2, 3))
    sampled = view[:, :, ::sh, ::sw, ::dh, ::dw]
    return np.moveaxis(sampled, 1, 3).reshape(-1, x.shape[1] * kh * kw)


def block_columns(channels: int, patches: Patches) -> list[range]:
    """The columns of each group, in their order within it."""
    total = channels * patches.kernel_size[0] * patches.kernel_size[1]
    count = channels // (patches.block or channels)
    if patches.grouping == "interleaved":
        return [range(g, total, count) for g in range(count)]
    return [range(start, start + total // count) for start in range(0, total, total // count)]


def mean_and_covariance(rows: Array) -> tuple[Array, Array]:
    """Mean and covariance of the rows, divided by their number."""
    return rows.mean(axis=0), np.atleast_2d(np.cov(rows, rowvar=False, bias=True))
