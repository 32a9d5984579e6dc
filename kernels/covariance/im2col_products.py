"""Partial sums of products of patches, without a patch matrix: implicit im2col, upper tiles only.

With y_a = x_a - s_a the shifted columns of the patch matrix (zeros of the padding are values),

    S_ab = sum of y_a y_b,    l_a = sum of y_a,

over the rows of a chunk after the other; an accumulator is emptied after every chunk.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance.columns import Columns
from ndbench.kernels.covariance.division import place_of, reciprocal
from ndbench.kernels.covariance.partials import DIRECT, room, splits
from ndbench.kernels.covariance.tiles import CHUNK, NOWHERE, pixel_axis
from ndbench.kernels.covariance.triangle import in_triangle, products_of, record_of
from ndbench.kernels.precision import WAYS
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.tables import kept_on_device
from ndbench.kernels.variant import TRITON_TYPES, Configuration, Variant


@specialized_on()
def multiply_columns(
    X,
    partials,
    places,
    shifts,
    tiles,
    reciprocals,
    columns,
    groups,
    stack,
    pairs,
    rows: tl.int64,
    chunks: tl.int64,
    chunks_per_program: tl.int64,
    slots,
    record: tl.int64,
    sums_at: tl.int64,
    per_image,
    per_line,
    height,
    width,
    step_h,
    step_w,
    stride_n: tl.int64,
    stride_c: tl.int64,
    stride_h: tl.int64,
    stride_w: tl.int64,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
    AXIS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One pair of column tiles, of one group or of `stack` pooled ones, and some chunks of rows a program.

    places is (3, groups, columns), shifts (groups / stack, columns), tiles (pairs, 2), rows those of one group, chunks
    theirs; partials is (groups / stack, slots, record), each a triangle as in `triangle`, and from sums_at on the sums.
    """
    item = tl.program_id(0).to(tl.int64)
    slot = tl.program_id(1)
    unit, pair = item // pairs, item % pairs
    left_column = tl.load(tiles + 2 * pair) * TILE + tl.arange(0, TILE)
    right_column = tl.load(tiles + 2 * pair + 1) * TILE + tl.arange(0, TILE)
    left_shift = tl.load(shifts + unit * columns + left_column, mask=left_column < columns, other=0)
    right_shift = tl.load(shifts + unit * columns + right_column, mask=right_column < columns, other=0)
    products, sums = tl.full((TILE, TILE), 0, tl.float32), tl.full((TILE,), 0, tl.float32)
    begin = slot.to(tl.int64) * chunks_per_program
    for chunk in range(begin, tl.minimum(begin + chunks_per_program, stack * chunks)):
        group = unit * stack + chunk // chunks
        first = chunk % chunks * CHUNK
        count = tl.minimum(rows - first, CHUNK).to(tl.int32)
        image, start = first // per_image, first % per_image
        left_at, left_h, left_w = _pixels_of(places, group, groups, columns, left_column, stride_c, stride_h, stride_w)
        right_at, right_h, right_w = _pixels_of(
            places, group, groups, columns, right_column, stride_c, stride_h, stride_w
        )
        chunk_products = tl.full((TILE, TILE), 0, tl.float32)
        chunk_sums = tl.full((TILE, BLOCK) if AXIS == 1 else (BLOCK, TILE), 0, tl.float32)
        for k in range(0, count, BLOCK):
            row = k + tl.arange(0, BLOCK)
            q = start.to(tl.int32) + row
            taken = row < count
            n, line, column = place_of(q, per_image, per_line, reciprocals)
            h, w = tl.where(taken, line * step_h, NOWHERE), column * step_w
            # 64-bit: strides times indices may pass 2**31
            at = (image + n) * stride_n + h.to(tl.int64) * stride_h + w.to(tl.int64) * stride_w
            left = _shifted(X, at, h, w, taken, left_at, left_h, left_w, left_shift, height, width, AXIS)
            right = _shifted(X, at, h, w, taken, right_at, right_h, right_w, right_shift, height, width, AXIS)
            chunk_sums += left
            if AXIS == 1:
                chunk_products = tl.dot(left, tl.trans(right), chunk_products, input_precision=PRECISION)
            else:
                chunk_products = tl.dot(tl.trans(left), right, chunk_products, input_precision=PRECISION)
        products += chunk_products
        sums += tl.sum(chunk_sums, axis=AXIS)
    top, side = tl.load(tiles + 2 * pair), tl.load(tiles + 2 * pair + 1)
    part = partials + (unit * slots + slot) * record
    upper = (left_column[:, None] <= right_column[None, :]) & (right_column < columns)[None, :]
    tl.store(part + in_triangle(left_column, right_column, columns), products, mask=upper)
    tl.store(part + sums_at + left_column, sums, mask=(left_column < columns) & (top == side))


@triton.jit
def _pixels_of(places, group, groups, columns, column, stride_c, stride_h, stride_w):
    """Where the pixels of columns lie from the corner of a patch: offset, row, column.

    A column that is none has no pixels.
    """
    place = places + group * columns + column
    kept = column < columns
    c = tl.load(place, mask=kept, other=0)
    h = tl.load(place + groups * columns, mask=kept, other=NOWHERE)
    w = tl.load(place + 2 * groups * columns, mask=kept, other=0)
    return c.to(tl.int64) * stride_c + h.to(tl.int64) * stride_h + w.to(tl.int64) * stride_w, h, w


@triton.jit
def _shifted(X, at, h, w, taken, column_at, column_h, column_w, shift, height, width, AXIS: tl.constexpr):
    """The pixels y of a tile: x - s, -s in the padding, 0 for rows and columns that are none: s is 0 for those."""
    y = tl.expand_dims(h, 1 - AXIS) + tl.expand_dims(column_h, AXIS)
    z = tl.expand_dims(w, 1 - AXIS) + tl.expand_dims(column_w, AXIS)
    asked = tl.expand_dims(taken, 1 - AXIS)
    # negative numbers are large ones without a sign
    inside = (y.to(tl.uint32, bitcast=True) < height) & (z.to(tl.uint32, bitcast=True) < width)
    x = tl.load(X + tl.expand_dims(at, 1 - AXIS) + tl.expand_dims(column_at, AXIS), mask=inside, other=0)
    return tl.where(asked, x.to(tl.float32) - tl.expand_dims(shift, AXIS), 0.0)


def tile_of(columns: int) -> int:
    """Columns of a tile, for so many columns in a group."""
    return 32 if columns <= 32 else 64


def configuration(columns: int, *, axis: int, precision: str) -> Configuration:
    """That of so many columns in a group."""
    tile = tile_of(columns)
    constants = {"TILE": tile, "BLOCK": 16, "CHUNK": CHUNK, "AXIS": axis, "PRECISION": precision}
    return Configuration(constants, warps=4 if tile == 32 else 8, stages=2)


def slots_of(x: Tensor, patches: Patches, units: int, columns: int) -> int:
    """Partial sums of each of the units: as many as keep a GPU busy and there is memory for, but one at least.

    One takes half as much memory as the covariance. Beyond `DIRECT` of them there are their sums in float64 too.
    """
    height, width = patches.output_size(*x.shape[2:])
    stack = patches.groups(x.shape[1]) // units
    chunks = stack * -(-len(x) * height * width // CHUNK)
    pairs = pairs_of(-(-columns // tile_of(columns)))
    outputs = 4 * units * columns * (columns + 1)
    # shifts and tables of columns take a little of it
    left = room(x.numel() * x.element_size(), outputs) - 32 * stack * units * columns
    affordable = left // (4 * units * record_of(columns))
    affordable = affordable if affordable <= DIRECT else max(DIRECT, affordable - 2)
    each = -(-chunks // splits(units * pairs, chunks, affordable))
    return -(-chunks // each)


def products(x: Tensor, patches: Patches, columns: Columns, shifts: Tensor, precision: str) -> tuple[Tensor, Tensor]:
    """Partial sums (G or 1, slots, record), and the tiles of each pair, (pairs, 2).

    Args:
        x: input, shape (N, C, H, W), any strides.
        patches: which patches, and their blocks.
        columns: theirs.
        shifts: of the columns, (G, F), or (1, F) if pooled.
        precision: of the products.
    """
    groups, F = columns.channel.shape
    chosen = configuration(F, axis=pixel_axis(x), precision=precision)
    tile, units = tile_of(F), len(shifts)
    tiles = upper_tiles(-(-F // tile), x.device)
    height, width = patches.output_size(*x.shape[2:])
    rows = len(x) * height * width
    chunks, stack = -(-rows // CHUNK), groups // units
    slots, record = slots_of(x, patches, units, F), record_of(F)
    partials = torch.empty((units, slots, record), dtype=torch.float32, device=x.device)
    multiply_columns[(units * len(tiles), slots)](
        x,
        partials,
        columns.places,
        shifts,
        tiles,
        reciprocals(height * width, width, x.device),
        F,
        groups,
        stack,
        len(tiles),
        rows,
        chunks,
        -(-stack * chunks // slots),
        slots,
        record,
        products_of(F),
        height * width,
        width,
        *x.shape[2:],
        *patches.stride,
        *x.stride(),
        **chosen.options(),
    )
    return partials, tiles


def pairs_of(count: int) -> int:
    """Pairs of so many tiles."""
    return count * (count + 1) // 2


@kept_on_device
def upper_tiles(count: int, device: torch.device) -> Tensor:
    """The pairs of tiles i <= j, (pairs, 2): copied once, since a copy synchronizes."""
    return torch.triu_indices(count, count, dtype=torch.int32).T.contiguous().to(device)


@kept_on_device
def reciprocals(per_image: int, per_line: int, device: torch.device) -> Tensor:
    """What divides by the patches of an image and of a line."""
    return torch.tensor([*reciprocal(per_image), *reciprocal(per_line)], dtype=torch.int32, device=device)


def variants() -> Iterator[Variant]:
    """Every configuration that `products` may launch."""
    for dtype, precision, vendors in WAYS:
        element = TRITON_TYPES[dtype]
        signature = {
            "X": f"*{element}",
            "partials": "*fp32",
            "places": "*i32",
            "shifts": "*fp32",
            "tiles": "*i32",
            "reciprocals": "*i32",
            **dict.fromkeys(("columns", "groups", "stack", "pairs"), "i32"),
            **dict.fromkeys(("rows", "chunks", "chunks_per_program", "record", "sums_at"), "i64"),
            **dict.fromkeys(("slots", "per_image", "per_line", "height", "width", "step_h", "step_w"), "i32"),
            **dict.fromkeys(("stride_n", "stride_c", "stride_h", "stride_w"), "i64"),
        }
        for columns in (32, 64):
            for axis in (0, 1):
                layout = "pixels_last" if axis else "channels_last"
                yield Variant(
                    f"covariance.im2col/{columns}/{layout}/{element}/{precision}",
                    multiply_columns,
                    signature,
                    configuration(columns, axis=axis, precision=precision),
                    precision=precision,
                    vendors=vendors,
                )
