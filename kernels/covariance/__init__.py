"""Patch covariance by Triton kernels: no patch matrix, any layout of memory, exactly symmetric, deterministic.

Each algorithm takes float32, float16 or bfloat16 and returns mean and covariance in float32, without eps, as those of
`ndbench.covariance` do. The products are of shifted pixels x - s, which float32 holds whatever the type of x, so that
every precision serves every type.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance import (
    adjoint,
    adjoint_constants,
    adjoint_matrices,
    columns,
    im2col_assembly,
    im2col_products,
    partials,
    shift,
)
from ndbench.kernels.variant import Variant

Algorithm = Callable[[Tensor, Patches, str], tuple[Tensor, Tensor]]


def im2col(x: Tensor, patches: Patches, precision: str) -> tuple[Tensor, Tensor]:
    """Mean and covariance by implicit im2col."""
    held = columns.Columns.of(patches, *x.shape[1:], x.device)
    shifts = held.shifts(shift.sampled_shift(x), patches)
    parts, tiles = im2col_products.products(x, patches, held, shifts, precision)
    totals = partials.total(parts, _all_slots(parts.shape[1], x.device))
    height, width = patches.output_size(*x.shape[2:])
    rows = len(x) * height * width * (patches.groups(x.shape[1]) // len(shifts))
    mean, cov = im2col_assembly.assembled(totals[:, 0], shifts, held, tiles, rows)
    return (mean[0], cov[0]) if patches.pooled else (mean, cov)


ALGORITHMS = {"im2col": im2col}


def algorithm_of(name: str, shape: tuple[int, ...], patches: Patches) -> Algorithm:
    """The algorithm of this name, or for "auto" one chosen from the shape (N, C, H, W)."""
    return ALGORITHMS["im2col" if name == "auto" else name]


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for module in (shift, im2col_products, partials, im2col_assembly, adjoint_constants, adjoint_matrices, adjoint):
        yield from module.variants()


@lru_cache(maxsize=64)
def _all_slots(slots: int, device: torch.device) -> Tensor:
    return torch.tensor([0, slots], dtype=torch.int32, device=device)
