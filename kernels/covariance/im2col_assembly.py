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
from ndbench.kernels.covariance.triangle import in_triangle, products_of
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@specialized_on()
def assemble_columns(
    parts,
    shifts,
    output,
    tiles,
    mean,
    cov,
    columns,
    pairs,
    slots,
    record: tl.int64,
    sums_at: tl.int64,
    rows: tl.int64,
    TILE: tl.constexpr,
    LINES: tl.constexpr,
):
    """LINES lines of one pair of tiles a program; parts is (units, slots, record), each as in `triangle`."""
    item = tl.program_id(0).to(tl.int64)
    unit, pair = item // pairs, item % pairs
    top, side = tl.load(tiles + 2 * pair), tl.load(tiles + 2 * pair + 1)
    a, b = top * TILE + tl.program_id(1) * LINES + tl.arange(0, LINES), side * TILE + tl.arange(0, TILE)
    upper = (a[:, None] <= b[None, :]) & (b < columns)[None, :]
    place = in_triangle(a, b, columns)
    S = tl.zeros((LINES, TILE), tl.float64)
    left, right = tl.zeros((LINES,), tl.float64), tl.zeros((TILE,), tl.float64)
    for slot in range(slots):
        part = parts + (unit * slots + slot) * record
        S += tl.load(part + place, mask=upper, other=0)
        left += tl.load(part + sums_at + a, mask=a < columns, other=0)
        right += tl.load(part + sums_at + b, mask=b < columns, other=0)
    left, right = left / rows, right / rows
    value = (S / rows - left[:, None] * right[None, :]).to(cov.dtype.element_ty)
    row = tl.load(output + a, mask=a < columns, other=0).to(tl.int64)
    column = tl.load(output + b, mask=b < columns, other=0).to(tl.int64)
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


def assembled(parts: Tensor, shifts: Tensor, columns: Columns, tiles: Tensor, rows: int) -> tuple[Tensor, Tensor]:
    """Mean (units, F) and covariance (units, F, F) in float32.

    Args:
        parts: sums of products, (units, slots, record), of which all slots are added up, in float32 or float64.
        shifts: of the columns, (units, F).
        columns: their places in the covariance.
        tiles: of each pair, (pairs, 2).
        rows: M.
    """
    units, F = shifts.shape
    tile = tile_of(F)
    mean = torch.empty((units, F), dtype=torch.float32, device=parts.device)
    cov = torch.empty((units, F, F), dtype=torch.float32, device=parts.device)
    assemble_columns[(units * len(tiles), tile // LINES)](
        parts,
        shifts,
        columns.output,
        tiles,
        mean,
        cov,
        F,
        len(tiles),
        *parts.shape[1:],
        products_of(F),
        rows,
        **configuration(tile).options(),
    )
    return mean, cov


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    for element in ("fp32", "fp64"):
        signature = {
            "parts": f"*{element}",
            "shifts": "*fp32",
            **dict.fromkeys(("output", "tiles"), "*i32"),
            **dict.fromkeys(("mean", "cov"), "*fp32"),
            **dict.fromkeys(("columns", "pairs", "slots"), "i32"),
            **dict.fromkeys(("record", "sums_at", "rows"), "i64"),
        }
        for tile in (32, 64):
            yield Variant(
                f"covariance.im2col_assembly/{tile}/{element}",
                assemble_columns,
                signature,
                configuration(tile),
                precision="ieee",
                products=False,
            )
