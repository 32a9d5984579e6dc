"""Partial sums of products of pixels at a lag: no patch matrix, and no product twice.

With y = x - s_c of a class and its partner, over the positions r of a piece of the image,

    P = sum of y[c, r] y[c', r + d D],    l = sum of y[c, r],    r = sum of y[c', r + d D].

Pieces lie inside the image together with their lag, so that nothing is masked but their end.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.division import place_of
from ndbench.kernels.covariance.lagged_plan import LaggedPlan
from ndbench.kernels.covariance.tiles import CHUNK, pixel_axis
from ndbench.kernels.precision import WAYS
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import TRITON_TYPES, Configuration, Variant


# where neighbouring channels are 1 apart, and whole vectors of them, loads are of vectors
@specialized_on(
    "X",
    "m",
    "class_stride",
    "class_step",
    "stride_n",
    "stride_c",
    "stride_h",
    "stride_w",
    "line_stride",
    "column_stride",
)
def multiply_pieces(
    X,
    partials,
    shifts,
    pieces,
    work,
    sources,
    slots,
    classes,
    offsets,
    m,
    tiles,
    class_stride,
    class_step,
    images,
    shift_stride,
    stride_n,
    stride_c,
    stride_h,
    stride_w,
    line_stride,
    column_stride,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
    AXIS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One slot and one pair of tiles of channels of one class, or of all classes in turn, a program.

    partials is (A', tiles, tiles, slots, TILE * TILE + 2 TILE); the tables are those of `LaggedPlan`, `ClassTables`.
    """
    # 64-bit: strides times indices may pass 2**31
    program = tl.program_id(0).to(tl.int64)
    plane, slot = program // slots, program % slots
    index = tl.arange(0, TILE)
    top, side = plane // tiles % tiles * TILE, plane % tiles * TILE
    i, j = top + index, side + index
    # both operands share what lies between the addresses of a tile
    channels_at = tl.expand_dims((index * class_step).to(tl.int64) * stride_c, AXIS)
    piece = pieces + 12 * tl.load(work + 3 * slot)
    columns, area = tl.load(piece + 3), tl.load(piece + 2) * tl.load(piece + 3)
    corner = tl.load(piece).to(tl.int64) * stride_h + tl.load(piece + 1).to(tl.int64) * stride_w
    lag = tl.load(piece + 8).to(tl.int64) * stride_h + tl.load(piece + 9).to(tl.int64) * stride_w
    partner, per_class = sources + (tl.load(piece + 10) + offsets - 1) * classes, tl.load(piece + 11)
    products, left_sums = tl.full((TILE, TILE), 0, tl.float32), tl.full((TILE,), 0, tl.float32)
    right_sums = left_sums
    for chunk in range(tl.load(work + 3 * slot + 1), tl.load(work + 3 * slot + 2)):
        own = plane // (tiles * tiles) + chunk // per_class
        other = tl.load(partner + own).to(tl.int64)
        left_shift = tl.load(shifts + own * shift_stride + i, mask=i < m, other=0)
        right_shift = tl.load(shifts + other * shift_stride + j, mask=j < m, other=0)
        left_from = X + corner + (own * class_stride + top * class_step) * stride_c
        right_from = X + corner + lag + (other * class_stride + side * class_step) * stride_c
        first = (chunk % per_class).to(tl.int64) * CHUNK
        count = tl.minimum(area.to(tl.int64) * images - first, CHUNK).to(tl.int32)
        image, start = first // area, (first % area).to(tl.int32)
        chunk_products = tl.full((TILE, TILE), 0, tl.float32)
        chunk_left = tl.full((TILE, BLOCK) if AXIS == 1 else (BLOCK, TILE), 0, tl.float32)
        chunk_right = chunk_left
        for k in range(0, count, BLOCK):
            q = start + k + tl.arange(0, BLOCK)
            n, line, column = place_of(q, area, columns, piece + 4)
            at = (image + n) * stride_n + line.to(tl.int64) * line_stride + column.to(tl.int64) * column_stride
            at = tl.expand_dims(at, 1 - AXIS) + channels_at
            taken = tl.expand_dims(k + tl.arange(0, BLOCK) < count, 1 - AXIS)
            asked = taken & tl.expand_dims(i < m, AXIS)
            left = tl.load(left_from + at, mask=asked, other=0).to(tl.float32)
            left = tl.where(asked, left - tl.expand_dims(left_shift, AXIS), 0.0)
            asked = taken & tl.expand_dims(j < m, AXIS)
            right = tl.load(right_from + at, mask=asked, other=0).to(tl.float32)
            right = tl.where(asked, right - tl.expand_dims(right_shift, AXIS), 0.0)
            chunk_left += left
            chunk_right += right
            if AXIS == 1:
                chunk_products = tl.dot(left, tl.trans(right), chunk_products, input_precision=PRECISION)
            else:
                chunk_products = tl.dot(tl.trans(left), right, chunk_products, input_precision=PRECISION)
        products += chunk_products
        left_sums += tl.sum(chunk_left, axis=AXIS)
        right_sums += tl.sum(chunk_right, axis=AXIS)
    record = partials + program * (TILE * TILE + 2 * TILE)
    tl.store(record + index[:, None] * TILE + index[None, :], products)
    tl.store(record + TILE * TILE + index, left_sums)
    tl.store(record + TILE * TILE + TILE + index, right_sums)


def tile_of(m: int) -> int:
    """Channels of a tile, for classes of m channels."""
    return 16 if m <= 16 else 32 if m <= 32 else 64


def record_of(m: int) -> int:
    """Numbers of a partial sum."""
    return tile_of(m) ** 2 + 2 * tile_of(m)


def configuration(m: int, *, axis: int, precision: str) -> Configuration:
    """That of classes of m channels."""
    tile = tile_of(m)
    constants = {
        "TILE": tile,
        "BLOCK": 32 if tile == 64 and axis == 0 else 16,
        "CHUNK": CHUNK,
        "AXIS": axis,
        "PRECISION": precision,
    }
    # one warp holds a tile of 16, but not with float32 multiplied one number at a time and pixels side by side
    smallest = 2 if precision == "ieee" and axis == 1 else 1
    return Configuration(constants, warps={16: smallest, 32: 4, 64: 8}[tile], stages=3)


def products(
    x: Tensor, patches: Patches, plan: LaggedPlan, tables: ClassTables, shifts: Tensor, precision: str
) -> Tensor:
    """Partial sums (A' * tiles^2, slots, record).

    Args:
        x: input, shape (N, C, H, W), any strides.
        patches: which patches, and their blocks.
        plan: their pieces.
        tables: their classes.
        shifts: of the channels of a class, (A', m).
        precision: of the products.
    """
    chosen = configuration(tables.m, axis=pixel_axis(x), precision=precision)
    tiles, slots = triton.cdiv(tables.m, tile_of(tables.m)), len(plan.work)
    planes = tables.units * tiles**2
    partials = torch.empty((planes, slots, record_of(tables.m)), dtype=torch.float32, device=x.device)
    if partials.numel():
        multiply_pieces[(planes * slots,)](
            x,
            partials,
            shifts,
            plan.pieces,
            plan.work,
            tables.sources,
            slots,
            tables.count,
            patches.offsets,
            tables.m,
            tiles,
            tables.stride,
            tables.step,
            len(x),
            0 if tables.units == 1 else tables.m,
            *x.stride(),
            *(step * stride for step, stride in zip(patches.stride, x.stride()[2:], strict=True)),
            **chosen.options(),
        )
    return partials


def variants() -> Iterator[Variant]:
    """Every configuration that `products` may launch."""
    integers = ("slots", "classes", "offsets", "m", "tiles", "class_stride", "class_step", "images", "shift_stride")
    for dtype, precision, vendors in WAYS:
        element = TRITON_TYPES[dtype]
        signature = {
            "X": f"*{element}",
            **dict.fromkeys(("partials", "shifts"), "*fp32"),
            **dict.fromkeys(("pieces", "work", "sources"), "*i32"),
            **dict.fromkeys(integers, "i32"),
            **dict.fromkeys(("stride_n", "stride_c", "stride_h", "stride_w", "line_stride", "column_stride"), "i64"),
        }
        for m in (16, 32, 64):
            for axis in (0, 1):
                layout = "pixels_last" if axis else "channels_last"
                yield Variant(
                    f"covariance.lagged/{m}/{layout}/{element}/{precision}",
                    multiply_pieces,
                    signature,
                    configuration(m, axis=axis, precision=precision),
                    precision=precision,
                    vendors=vendors,
                )
