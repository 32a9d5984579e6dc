"""Means of columns from the sums over pieces: inside the image, and of the shift.

With M rows, cnt_t of them inside the image at the offset t,

    ybar_ct = sum over the pieces of (t, t) of l_c / M,    mean = ybar_ct + s_c cnt_t / M.

The two parts are kept apart: differences between groups are small, and a shift may be large.
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
def average_pieces(
    totals,
    inside,
    outside,
    shifts,
    pairs,
    held,
    presence,
    group,
    position,
    piece_count,
    entries,
    offsets,
    columns,
    m,
    tile,
    rows: tl.int64,
    BLOCK: tl.constexpr,
):
    """BLOCK entries (class, channel, offset) a program; totals is (A', tiles, tiles, pieces, record)."""
    entry = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    exists = entry < entries
    offset, i, unit = entry % offsets, entry // offsets % m, entry // offsets // m
    tiles, record = tl.cdiv(m, tile), tile * tile + 2 * tile
    start = tl.load(pairs + 4 * offset + 2, mask=exists, other=0)
    count = tl.load(pairs + 4 * offset + 3, mask=exists, other=0) - start
    plane = ((unit * tiles + i // tile) * tiles).to(tl.int64) * piece_count
    total = tl.zeros((BLOCK,), tl.float64)
    for number in range(tl.max(count)):
        asked = exists & (number < count)
        sums = totals + (plane + tl.load(held + start + number, mask=asked, other=0)) * record
        total += tl.load(sums + tile * tile + i % tile, mask=asked, other=0)
    shift = tl.load(shifts + entry // offsets, mask=exists, other=0).to(tl.float64)
    place = tl.load(group + unit * offsets + offset, mask=exists, other=0).to(tl.int64) * columns
    place += tl.load(position + entry, mask=exists, other=0)
    tl.store(inside + place, total / rows, mask=exists)
    tl.store(outside + place, shift * tl.load(presence + offset, mask=exists, other=0), mask=exists)


CONFIGURATION = Configuration({"BLOCK": 128}, warps=4)


def means(
    totals: Tensor, shifts: Tensor, plan: LaggedPlan, tables: ClassTables, groups: int, rows: int
) -> tuple[Tensor, Tensor]:
    """The two parts of the mean of every column, (groups, F) in float64.

    Args:
        totals: sums over pieces, (A' * tiles^2, pieces, record) in float32 or float64.
        shifts: of the channels of a class, (A', m).
        plan: the pieces.
        tables: the classes.
        groups: of columns, 1 where classes were added up as rows.
        rows: M.
    """
    units, m, K = tables.position.shape
    F = units * m * K // groups
    inside, outside = (torch.empty((groups, F), dtype=torch.float64, device=totals.device) for _ in range(2))
    entries = units * m * K
    average_pieces[(triton.cdiv(entries, CONFIGURATION.constants["BLOCK"]),)](
        totals,
        inside,
        outside,
        shifts,
        plan.pairs,
        plan.held,
        plan.presence,
        tables.group,
        tables.position,
        totals.shape[1],
        entries,
        K,
        F,
        m,
        tile_of(m),
        rows,
        **CONFIGURATION.options(),
    )
    return inside, outside


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for element in ("fp32", "fp64"):
        signature = {
            "totals": f"*{element}",
            **dict.fromkeys(("inside", "outside"), "*fp64"),
            "shifts": "*fp32",
            **dict.fromkeys(("pairs", "held"), "*i32"),
            "presence": "*fp64",
            **dict.fromkeys(("group", "position"), "*i32"),
            **dict.fromkeys(("piece_count", "entries", "offsets", "columns", "m", "tile"), "i32"),
            "rows": "i64",
        }
        yield Variant(
            f"covariance.lagged_means/{element}",
            average_pieces,
            signature,
            CONFIGURATION,
            precision="ieee",
            products=False,
        )
