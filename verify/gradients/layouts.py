"""The same numbers laid out otherwise in memory, with NaN where nothing is to be read."""

import torch
from torch import Tensor


def transposed(X: Tensor) -> Tensor:
    """Column by column."""
    return X.mT.contiguous().mT


def sparse(X: Tensor) -> Tensor:
    """Every second row and column of a tensor that is NaN between them."""
    larger = X.new_full((*X.shape[:-2], 2 * X.shape[-2], 2 * X.shape[-1]), torch.nan)
    larger[..., ::2, ::2] = X
    return larger[..., ::2, ::2]


def spread(X: Tensor) -> Tensor:
    """Every second number of a tensor that is NaN between them."""
    return torch.stack([X, torch.full_like(X, torch.nan)], dim=-1)[..., 0]
