"""No patch matrix and no repeated product: one for each lag, instead of one for each pair of offsets."""

import torch
from torch import Tensor

from ndbench.covariance.assembly import accumulate, covariance
from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import Lag, Piece, axes, plan
from ndbench.covariance.products import summed_product


def lagged(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance of patches from one product per lag and piece of the image.

    With y = x - s_c inside the image and 0 outside, and D = t' - t the lag of two offsets, every piece of the plan
    gives

        P = sum over images and positions r of the piece of y[c, r] y[c', r + d D],
        S[(c, t), (c', t')] = sum of P over the pieces inside the window of (t, t'),

    and the shift's effect on the padding is added in closed form. Pieces are only ever added: subtracting the border
    strips that a window excludes would leave their rounding errors behind. Interior pieces take 2 N H W C B flops for
    each of ((2 kh - 1)(2 kw - 1) + 1) / 2 lags if the stride is 1.

    The products are centered by channel, not by column: rounding errors are relative to the second moments about the
    channel's mean, so with very few patches, where those exceed the covariance, "im2col" is the more accurate one.

    Args:
        x: input, shape (N, C, H, W), float32 or float64.
        patches: which patches, and their blocks.

    Returns:
        mean (F,) and covariance (F, F) of pooled groups, or (G, F) and (G, F, F) of separate ones, in x's type.
    """
    classes = Classes.of(patches, x.shape[1], x.device)
    kw = patches.kernel_size[1]
    lags = [lag for lag in plan(*axes(patches, *x.shape[2:])) if classes.meets[lag.rows * kw + lag.columns]]

    def products(y: Tensor) -> Tensor:
        # an image that no patch reaches has no pieces, and nothing cannot be stacked
        none = y.new_zeros(0, *classes.product_shape, dtype=torch.float64)
        found = [product(y, lag, piece, patches, classes)[None] for lag in lags for piece in lag.pieces]
        return torch.cat([none, *found])

    sums = accumulate(x, classes, products)
    each = torch.split(sums.products, [len(lag.pieces) for lag in lags])
    S = torch.cat([torch.tensordot(held(lag).to(P), P, 1) for lag, P in zip(lags, each, strict=True)])
    pairs = torch.tensor([(i * kw + j, (i + lag.rows) * kw + j + lag.columns) for lag in lags for i, j in lag.offsets])
    mean, cov = covariance(S, pairs.T.to(x.device), sums, classes, patches)
    return mean.to(x.dtype), cov.to(x.dtype)


def product(y: Tensor, lag: Lag, piece: Piece, patches: Patches, classes: Classes) -> Tensor:
    """P of every class and its partner at the lag, (A, m, m)."""
    (dh, dw), kw = patches.dilation, patches.kernel_size[1]
    here = region(y, piece.rows.positions, piece.columns.positions)
    there = region(y, moved(piece.rows.positions, dh * lag.rows), moved(piece.columns.positions, dw * lag.columns))
    there = classes.partners(there, lag.rows * kw + lag.columns)
    return summed_product(here, there)


def region(y: Tensor, rows: range, columns: range) -> Tensor:
    """The pixels of y (A, N, H, W, m) at these rows and columns."""
    return y[:, :, rows.start : rows.stop : rows.step, columns.start : columns.stop : columns.step]


def moved(positions: range, distance: int) -> range:
    """Positions that lie this far on."""
    return range(positions.start + distance, positions.stop + distance, positions.step)


def held(lag: Lag) -> Tensor:
    """Whether the window of each offset holds each piece, (offsets, pieces)."""
    holds = [[piece.holds(offset) for piece in lag.pieces] for offset in lag.offsets]
    return torch.tensor(holds, dtype=torch.bool).view(len(lag.offsets), len(lag.pieces))
