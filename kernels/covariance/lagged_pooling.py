"""From sums over pieces to one covariance of all groups, where these are not added up as rows: interleaved blocks.

With cov_g the covariance of a group (`lagged_assembly`) and mu_g what its means differ from those of all groups,

    cov = sum over g of (cov_g + mu_g mu_g^T) / G,

in float64 and in the order of the groups, each entry in registers until it is written, in both triangles.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.lagged_assembly import entry_of
from ndbench.kernels.covariance.lagged_plan import LaggedPlan
from ndbench.kernels.covariance.lagged_products import tile_of
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.tables import kept_on_device
from ndbench.kernels.variant import Configuration, Variant


@specialized_on()
def pool_pieces(
    totals,
    inside,
    apart,
    shifts,
    cov,
    places,
    numbers,
    pairs,
    held,
    variance,
    presence,
    entries: tl.int64,
    groups,
    columns,
    piece_count,
    offsets,
    m,
    tile,
    rows: tl.int64,
    BLOCK: tl.constexpr,
):
    """BLOCK entries of the covariance a program; places is (3, groups, columns), numbers (offsets, offsets)."""
    entry = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    a, b = (entry // columns).to(tl.int32), (entry % columns).to(tl.int32)
    exists = (entry < entries) & (a <= b)
    total = tl.zeros((BLOCK,), tl.float64)
    for group in range(groups):
        at_a, at_b = group * columns + a, group * columns + b
        i, j = _in_class(places, at_a, groups * columns, exists), _in_class(places, at_b, groups * columns, exists)
        t, u = (
            _in_class(places, at_a, 2 * groups * columns, exists),
            _in_class(places, at_b, 2 * groups * columns, exists),
        )
        own, other = _in_class(places, at_a, 0, exists), _in_class(places, at_b, 0, exists)
        # a pair of offsets is kept in their order
        turned = (t > u) | ((t == u) & (i > j))
        at_a, at_b = tl.where(turned, at_b, at_a), tl.where(turned, at_a, at_b)
        own, other = tl.where(turned, other, own), tl.where(turned, own, other)
        i, j = tl.where(turned, j, i), tl.where(turned, i, j)
        t, u = tl.where(turned, u, t), tl.where(turned, t, u)
        pair = tl.load(numbers + t * offsets + u, mask=exists, other=0)
        total += entry_of(
            totals,
            shifts,
            pairs + 4 * pair,
            held,
            presence,
            variance,
            inside + at_a,
            inside + at_b,
            own,
            other,
            i,
            j,
            t,
            u,
            pair,
            exists,
            piece_count,
            m,
            tile,
            rows,
            BLOCK,
        )
        total += tl.load(apart + at_a, mask=exists, other=0) * tl.load(apart + at_b, mask=exists, other=0)
    value = (total / groups).to(cov.dtype.element_ty)
    tl.store(cov + entry, value, mask=exists)
    tl.store(cov + b.to(tl.int64) * columns + a, value, mask=exists & (a < b))


@triton.jit
def _in_class(places, at, row, exists):
    return tl.load(places + row + at, mask=exists, other=0)


CONFIGURATION = Configuration({"BLOCK": 256}, warps=4)


def pooled(
    totals: Tensor,
    inside: Tensor,
    outside: Tensor,
    shifts: Tensor,
    plan: LaggedPlan,
    tables: ClassTables,
    patches: Patches,
    rows: int,
) -> tuple[Tensor, Tensor]:
    """Mean (F,) and covariance (F, F) of all groups, in float32.

    Args:
        totals: sums over pieces, (A * tiles^2, pieces, record) in float32 or float64.
        inside: ybar of every column, (G, F) in float64.
        outside: of the shift, likewise.
        shifts: of the channels of a class, (A, m).
        plan: the pieces.
        tables: the classes.
        patches: their blocks.
        rows: M of one group.
    """
    groups, F = inside.shape
    # shifts may be large, and what groups differ by is small
    relative = outside - outside[0]
    apart = inside - inside.mean(0) + relative - relative.mean(0)
    cov = torch.empty((F, F), dtype=torch.float32, device=totals.device)
    pool_pieces[(triton.cdiv(F * F, CONFIGURATION.constants["BLOCK"]),)](
        totals,
        inside,
        apart,
        shifts,
        cov,
        places_of(patches, groups * F // patches.offsets, totals.device),
        plan.numbers,
        plan.pairs,
        plan.held,
        plan.variance,
        plan.presence,
        F * F,
        groups,
        F,
        totals.shape[1],
        patches.offsets,
        tables.m,
        tile_of(tables.m),
        rows,
        **CONFIGURATION.options(),
    )
    return (inside + outside).mean(0).float(), cov


@kept_on_device
def places_of(patches: Patches, channels: int, device: torch.device) -> Tensor:
    """Class, channel in the class, and offset of every column, (3, G, F) in int32."""
    tables = ClassTables.of(patches, channels, torch.device("cpu"))
    group, position = tables.group[:, None].expand_as(tables.position).long(), tables.position.long()
    count, m, K = position.shape
    own = [
        torch.arange(n).view(shape).expand(count, m, K) for n, shape in ((count, (-1, 1, 1)), (m, (-1, 1)), (K, (-1,)))
    ]
    found = torch.empty((3, patches.groups(channels), count * m * K // patches.groups(channels)), dtype=torch.int32)
    found[:, group, position] = torch.stack(own).int()
    return found.to(device)


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for element in ("fp32", "fp64"):
        signature = {
            "totals": f"*{element}",
            **dict.fromkeys(("inside", "apart"), "*fp64"),
            **dict.fromkeys(("shifts", "cov"), "*fp32"),
            **dict.fromkeys(("places", "numbers", "pairs", "held"), "*i32"),
            **dict.fromkeys(("variance", "presence"), "*fp64"),
            **dict.fromkeys(("groups", "columns", "piece_count", "offsets", "m", "tile"), "i32"),
            **dict.fromkeys(("entries", "rows"), "i64"),
        }
        yield Variant(
            f"covariance.lagged_pooling/{element}",
            pool_pieces,
            signature,
            CONFIGURATION,
            precision="ieee",
            products=False,
        )
