"""From sums over pieces to the covariance, both triangles.

For the columns (c, t) and (c', t'), t <= t', with S and T the sums over the pieces of the pair of offsets, and the
quantities of `ndbench.covariance.assembly.covariance`,

    cov = S / M - ybar_ct ybar_c't' + s_c' (T[c; t, t'] / M - ybar_ct mbar_t')
          + s_c (T[c'; t', t] / M - ybar_c't' mbar_t) + s_c s_c' variance_tt',

in float64 and in a fixed order, from one triangle and mirrored, so that the covariance is exactly symmetric.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.lagged_plan import LaggedPlan
from ndbench.kernels.covariance.lagged_products import tile_of
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@specialized_on()
def assemble_pieces(
    totals,
    inside,
    shifts,
    cov,
    pairs,
    held,
    variance,
    presence,
    sources,
    group,
    position,
    entries: tl.int64,
    pair_count,
    piece_count,
    classes,
    offsets,
    columns,
    m,
    tile,
    rows: tl.int64,
    BLOCK: tl.constexpr,
):
    """BLOCK entries (class, pair of offsets, channel, channel of the partner) a program."""
    entry = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = entry < entries
    i, j = (entry // m % m).to(tl.int32), (entry % m).to(tl.int32)
    pair, own = (entry // m // m % pair_count).to(tl.int32), (entry // m // m // pair_count).to(tl.int32)
    described = pairs + 4 * pair
    t, u = tl.load(described, mask=exists, other=0), tl.load(described + 1, mask=exists, other=0)
    # where all classes are added up, class 0 meets itself
    other = tl.load(sources + (u - t + offsets - 1) * classes + own, mask=exists, other=0)
    unit = tl.load(group + own * offsets + t, mask=exists, other=0).to(tl.int64) * columns
    row = tl.load(position + (own * m + i) * offsets + t, mask=exists, other=0).to(tl.int64)
    column = tl.load(position + (other * m + j) * offsets + u, mask=exists, other=0).to(tl.int64)
    value = entry_of(
        totals,
        shifts,
        described,
        held,
        presence,
        variance,
        inside + unit + row,
        inside + unit + column,
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
    ).to(cov.dtype.element_ty)
    # the products of an offset with itself are symmetric: one triangle of them counts
    kept = exists & ((t < u) | (i <= j))
    tl.store(cov + (unit + row) * columns + column, value, mask=kept)
    tl.store(cov + (unit + column) * columns + row, value, mask=kept & (row != column))


@triton.jit
def entry_of(
    totals,
    shifts,
    described,
    held,
    presence,
    variance,
    inside_i,
    inside_j,
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
    BLOCK: tl.constexpr,
):
    """The covariance of channel i of the class `own` at t and channel j of `other` at u, in float64; (BLOCK,) each.

    inside_i and inside_j are where their ybar lie, described where their pair of offsets is.
    """
    start = tl.load(described + 2, mask=exists, other=0)
    count = tl.load(described + 3, mask=exists, other=0) - start
    tiles, record = tl.cdiv(m, tile), tile * tile + 2 * tile
    plane = ((own * tiles + i // tile) * tiles + j // tile).to(tl.int64) * piece_count
    S, left, right = tl.zeros((BLOCK,), tl.float64), tl.zeros((BLOCK,), tl.float64), tl.zeros((BLOCK,), tl.float64)
    for number in range(tl.max(count)):
        asked = exists & (number < count)
        sums = totals + (plane + tl.load(held + start + number, mask=asked, other=0)) * record
        S += tl.load(sums + i % tile * tile + j % tile, mask=asked, other=0)
        left += tl.load(sums + tile * tile + i % tile, mask=asked, other=0)
        right += tl.load(sums + tile * tile + tile + j % tile, mask=asked, other=0)
    ybar_i, ybar_j = tl.load(inside_i, mask=exists, other=0), tl.load(inside_j, mask=exists, other=0)
    s_i = tl.load(shifts + own * m + i, mask=exists, other=0).to(tl.float64)
    s_j = tl.load(shifts + other * m + j, mask=exists, other=0).to(tl.float64)
    left = left / rows - ybar_i * tl.load(presence + u)
    right = right / rows - ybar_j * tl.load(presence + t) + s_j * tl.load(variance + pair, mask=exists, other=0)
    return S / rows - ybar_i * ybar_j + left * s_j + s_i * right


CONFIGURATION = Configuration({"BLOCK": 512}, warps=4)


def assembled(
    totals: Tensor, inside: Tensor, shifts: Tensor, plan: LaggedPlan, tables: ClassTables, rows: int
) -> Tensor:
    """The covariance (groups, F, F) in float32.

    Args:
        totals: sums over pieces, (A' * tiles^2, pieces, record) in float32 or float64.
        inside: ybar of every column, (groups, F) in float64.
        shifts: of the channels of a class, (A', m).
        plan: the pieces.
        tables: the classes.
        rows: M.
    """
    groups, F = inside.shape
    cov = torch.empty((groups, F, F), dtype=torch.float32, device=totals.device)
    entries = tables.units * len(plan.pairs) * tables.m**2
    assemble_pieces[(triton.cdiv(entries, CONFIGURATION.constants["BLOCK"]),)](
        totals,
        inside,
        shifts,
        cov,
        plan.pairs,
        plan.held,
        plan.variance,
        plan.presence,
        tables.sources,
        tables.group,
        tables.position,
        entries,
        len(plan.pairs),
        totals.shape[1],
        tables.count,
        tables.position.shape[2],
        F,
        tables.m,
        tile_of(tables.m),
        rows,
        **CONFIGURATION.options(),
    )
    return cov


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for element in ("fp32", "fp64"):
        signature = {
            "totals": f"*{element}",
            "inside": "*fp64",
            **dict.fromkeys(("shifts", "cov"), "*fp32"),
            **dict.fromkeys(("pairs", "held"), "*i32"),
            **dict.fromkeys(("variance", "presence"), "*fp64"),
            **dict.fromkeys(("sources", "group", "position"), "*i32"),
            **dict.fromkeys(("pair_count", "piece_count", "classes", "offsets", "columns", "m", "tile"), "i32"),
            **dict.fromkeys(("entries", "rows"), "i64"),
        }
        yield Variant(
            f"covariance.lagged_assembly/{element}",
            assemble_pieces,
            signature,
            CONFIGURATION,
            precision="ieee",
            products=False,
        )
