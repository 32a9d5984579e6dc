"""Patch covariance by Triton kernels: no patch matrix, any layout of memory, exactly symmetric, deterministic.

Each algorithm takes float32, float16 or bfloat16 and returns mean and covariance in float32, without eps, as those of
`ndbench.covariance` do. The products are of shifted pixels x - s, which float32 holds whatever the type of x.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance import (
    adjoint,
    adjoint_constants,
    adjoint_matrices,
    choice,
    classes,
    columns,
    im2col_assembly,
    im2col_products,
    lagged_assembly,
    lagged_means,
    lagged_plan,
    lagged_pooling,
    lagged_products,
    lagged_room,
    partials,
    shift,
)
from ndbench.kernels.tables import kept_on_device
from ndbench.kernels.variant import Variant

MODULES = (
    shift,
    im2col_products,
    im2col_assembly,
    lagged_products,
    lagged_means,
    lagged_assembly,
    lagged_pooling,
    partials,
    adjoint_constants,
    adjoint_matrices,
    adjoint,
)
Algorithm = Callable[[Tensor, Patches, str], tuple[Tensor, Tensor]]


def im2col(x: Tensor, patches: Patches, precision: str) -> tuple[Tensor, Tensor]:
    """Mean and covariance by implicit im2col."""
    images, channels, height, width = x.shape
    held = columns.Columns.of(patches, channels, height, width, x.device)
    shifts = held.shifts(shift.sampled_shift(x), patches)
    parts, tiles = im2col_products.products(x, patches, held, shifts, precision)
    if parts.shape[1] > partials.DIRECT:
        parts = partials.total(parts, _all_slots(parts.shape[1], x.device))
    rows = images * math.prod(patches.output_size(height, width)) * (patches.groups(channels) // len(shifts))
    mean, cov = im2col_assembly.assembled(parts, shifts, held, tiles, rows)
    return (mean[0], cov[0]) if patches.pooled else (mean, cov)


def lagged(x: Tensor, patches: Patches, precision: str) -> tuple[Tensor, Tensor]:
    """Mean and covariance by one product for each lag and piece of the image."""
    tables = classes.ClassTables.of(patches, x.shape[1], x.device)
    images, channels, height, width = x.shape
    shape, stack = (images, channels, height, width), tables.count // tables.units
    chunks = lagged_plan.chunks_of(patches, shape, stack)
    affordable = lagged_room.affordable(shape, x.element_size(), patches, tables)
    most = lagged_plan.chunks_per_program(chunks, lagged_room.planes_of(tables), affordable)
    plan = lagged_plan.LaggedPlan.of(patches, shape, stack, most, x.device)
    shifts = shift.sampled_shift(x)[tables.members]
    shifts = shifts if tables.units == tables.count else shifts.mean(0, keepdim=True)
    parts = lagged_products.products(x, patches, plan, tables, shifts, precision)
    # a single partial sum is the sum
    totals = partials.total(parts, plan.first) if len(plan.work) > len(chunks) else parts
    rows = images * math.prod(patches.output_size(height, width)) * stack
    groups = patches.groups(x.shape[1]) // stack
    inside, outside = lagged_means.means(totals, shifts, plan, tables, groups, rows)
    if patches.pooled and groups > 1:
        return lagged_pooling.pooled(totals, inside, outside, shifts, plan, tables, patches, rows)
    cov = lagged_assembly.assembled(totals, inside, shifts, plan, tables, rows)
    mean = (inside + outside).float()
    return (mean[0], cov[0]) if patches.pooled else (mean, cov)


ALGORITHMS = {"im2col": im2col, "lagged": lagged}


def algorithm_of(name: str, x: Tensor, patches: Patches) -> Algorithm:
    """The algorithm of this name, or for "auto" one chosen from the shape of x."""
    return ALGORITHMS[choice.fewest(tuple(x.shape), patches, x.element_size()) if name == "auto" else name]


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for module in MODULES:
        yield from module.variants()


@kept_on_device
def _all_slots(slots: int, device: torch.device) -> Tensor:
    return torch.tensor([0, slots], dtype=torch.int32, device=device)
