"""From the sums of products of columns to mean and covariance, both triangles.

With M rows, ybar_a = l_a / M and s_a the shift of a column,

    mean_a = s_a + ybar_a,    cov_ab = S_ab / M - ybar_a ybar_b,

in float64, from one triangle and mirrored, so that the covariance is exactly symmetric.
"""

from collections.abc import Iterator

import torch
import triton.language as tl
from torch import Tensor

from ndbench.kernels.covariance.columns import Columns
from ndbench.kernels.covariance.im2col_products import tile_of
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@specialized_on()
def assemble_columns(
    totals, shifts, output, tiles, mean, cov, columns, pairs, rows: tl.int64, TILE: tl.constexpr, LINES: tl.constexpr
):
    """LINES lines of one pair of tiles a program; totals is (units * pairs, TILE * TILE + TILE)."""
    item = tl.program_id(0).to(tl.int64)
    unit, pair = item // pairs, item % pairs
    record: tl.constexpr = TILE * TILE + TILE
    top, side = tl.load(tiles + 2 * pair), tl.load(tiles + 2 * pair + 1)
    line, index = tl.program_id(1) * LINES + tl.arange(0, LINES), tl.arange(0, TILE)
    a, b = top * TILE + line, side * TILE + index
    # the diagonal pair (i, i) of upper tiles of `count` has the number i count - i (i - 1) / 2
    count = tl.cdiv(columns, TILE)
    diagonal = totals + unit * pairs * record + TILE * TILE
    # 64-bit: pairs * record passes 2**31 beyond 64896 columns
    top_pair = (top * count - top * (top - 1) // 2).to(tl.int64)
    side_pair = (side * count - side * (side - 1) // 2).to(tl.int64)
    left = tl.load(diagonal + top_pair * record + line) / rows
    right = tl.load(diagonal + side_pair * record + index) / rows
    S = tl.load(totals + item * record + line[:, None] * TILE + index[None, :]) / rows
    value = (S - left[:, None] * right[None, :]).to(cov.dtype.element_ty)
    row = tl.load(output + a, mask=a < columns, other=0).to(tl.int64)
    column = tl.load(output + b, mask=b < columns, other=0).to(tl.int64)
    upper = (a[:, None] <= b[None, :]) & (b < columns)[None, :]
    here = cov + unit * columns * columns
    tl.store(here + row[:, None] * columns + column[None, :], value, mask=upper)
    tl.store(here + column[None, :] * columns + row[:, None], value, mask=upper & (a[:, None] < b[None, :]))
    shift = tl.load(shifts + unit * columns + a, mask=a < columns, other=0).to(tl.float64)
    first = (a < columns) & (top == side)
    tl.store(mean + unit * columns + row, (shift + left).to(mean.dtype.element_ty), mask=first)


LINES = 16


def configuration(tile: int) -> Configuration:
    """That of tiles of this size."""
    return Configuration({"TILE": tile, "LINES": LINES}, warps=4)


def assembled(totals: Tensor, shifts: Tensor, columns: Columns, tiles: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Mean (units, F) and covariance (units, F, F) in float32.

    Args:
        totals: sums of products, (units * pairs, tile^2 + tile) in float64.
        shifts: of the columns, (units, F).
        columns: their places in the covariance.
        tiles: of each pair, (pairs, 2).
        rows: M.
    """
    units, F = shifts.shape
    tile = tile_of(F)
    mean = torch.empty((units, F), dtype=torch.float32, device=totals.device)
    cov = torch.empty((units, F, F), dtype=torch.float32, device=totals.device)
    assemble_columns[(len(totals), tile // LINES)](
        totals, shifts, columns.output, tiles, mean, cov, F, len(tiles), rows, **configuration(tile).options()
    )
    return mean, cov


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    signature = {
        "totals": "*fp64",
        "shifts": "*fp32",
        "output": "*i32",
        "tiles": "*i32",
        "mean": "*fp32",
        "cov": "*fp32",
        "columns": "i32",
        "pairs": "i32",
        "rows": "i64",
    }
    for tile in (32, 64):
        yield Variant(
            f"covariance.im2col_assembly/{tile}",
            assemble_columns,
            signature,
            configuration(tile),
            precision="ieee",
            products=False,
        )
