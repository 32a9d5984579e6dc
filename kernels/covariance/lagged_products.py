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


@specialized_on()
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
    stride_n: tl.int64,
    stride_c: tl.int64,
    stride_h: tl.int64,
    stride_w: tl.int64,
    line_stride: tl.int64,
    column_stride: tl.int64,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    CHUNK: tl.constexpr,
    AXIS: tl.constexpr,
    VECTOR: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One slot and one pair of tiles of channels of one class, or of all classes in turn, a program.

    partials is (A', tiles, tiles, slots, TILE * TILE + 2 TILE); the tables are those of `LaggedPlan`, `ClassTables`. If
    VECTOR is not 1, so many channels lie side by side and are loaded together (`channels_together`).
    """
    # 64-bit: strides times indices may pass 2**31
    program = tl.program_id(0).to(tl.int64)
    plane, slot = program // slots, program % slots
    index = tl.arange(0, TILE)
    top, side = plane // tiles % tiles * TILE, plane % tiles * TILE
    i, j = top + index, side + index
    if VECTOR > 1:
        # what the compiler is to know, here and by tl.multiple_of: masks and addresses are of whole vectors
        m, class_step, stride_c = m // VECTOR * VECTOR, 1, 1
    BYTES: tl.constexpr = VECTOR * X.dtype.element_ty.primitive_bitwidth // 8
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
        left_from = tl.multiple_of(X + corner + (own * class_stride + top * class_step) * stride_c, BYTES)
        right_from = tl.multiple_of(X + corner + lag + (other * class_stride + side * class_step) * stride_c, BYTES)
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
            at = tl.expand_dims(tl.multiple_of(at, VECTOR), 1 - AXIS) + channels_at
            taken = tl.expand_dims(k + tl.arange(0, BLOCK) < count, 1 - AXIS)
            left = _shifted(left_from + at, taken & tl.expand_dims(i < m, AXIS), left_shift, AXIS)
            right = _shifted(right_from + at, taken & tl.expand_dims(j < m, AXIS), right_shift, AXIS)
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


@triton.jit
def _shifted(at, asked, shift, AXIS: tl.constexpr):
    """The pixels y of a tile: x - s, and 0 for those not asked for."""
    x = tl.load(at, mask=asked, other=0).to(tl.float32)
    return tl.where(asked, x - tl.expand_dims(shift, AXIS), 0.0)


def tile_of(m: int) -> int:
    """Channels of a tile, for classes of m channels."""
    return 16 if m <= 16 else 32 if m <= 32 else 64


def record_of(m: int) -> int:
    """Numbers of a partial sum."""
    return tile_of(m) ** 2 + 2 * tile_of(m)


def lanes(dtype: torch.dtype) -> int:
    """Numbers in 16 bytes, the most that one load takes."""
    return 16 // dtype.itemsize


def channels_together(x: Tensor, tables: ClassTables) -> int:
    """How many channels one load takes: those in 16 bytes, or 1 unless all that begin a vector are aligned to it."""
    vector, (n, c, h, w) = lanes(x.dtype), x.stride()
    steps = (n, h, w, tables.m, *(() if tables.count == 1 else (tables.stride,)))
    aligned = x.data_ptr() % 16 == 0 and all(step % vector == 0 for step in steps)
    return vector if pixel_axis(x) == 0 and c * tables.step == 1 and aligned else 1


def configuration(m: int, *, axis: int, precision: str, vector: int = 1) -> Configuration:
    """That of classes of m channels, `vector` of which are loaded together."""
    tile = tile_of(m)
    constants = {
        "TILE": tile,
        "BLOCK": 32 if tile == 64 and axis == 0 else 16,
        "CHUNK": CHUNK,
        "AXIS": axis,
        "VECTOR": vector,
        "PRECISION": precision,
    }
    # one warp holds a tile of 16, but not with float32 multiplied one number at a time
    smallest = 2 if precision == "ieee" else 1
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
    chosen = configuration(tables.m, axis=pixel_axis(x), precision=precision, vector=channels_together(x, tables))
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
            for layout, axis, vector in (
                ("channels_last", 0, 1),
                ("channel_vectors", 0, lanes(dtype)),
                ("pixels_last", 1, 1),
            ):
                yield Variant(
                    f"covariance.lagged/{m}/{layout}/{element}/{precision}",
                    multiply_pieces,
                    signature,
                    configuration(m, axis=axis, precision=precision, vector=vector),
                    precision=precision,
                    vendors=vendors,
                )
