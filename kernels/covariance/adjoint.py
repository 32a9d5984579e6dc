"""The gradient with respect to the input, one tile of pixels and channels a program, without a patch matrix.

For a pixel r that the offsets I read, with v of `adjoint_constants` and K of `adjoint_matrices`,

    dx[c, r] = sum over t in I of v_ct + sum over lags l and channels c' of (x[c', r + d l] - s_c') K_l[c', c],

where x is 0 outside the image. Every pixel is written once.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.covariance.adjoint_weights import rows_of
from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance.adjoint_constants import constants
from ndbench.kernels.covariance.adjoint_matrices import matrices
from ndbench.kernels.covariance.adjoint_plan import PIXELS, AdjointPlan, Part
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.division import place_of
from ndbench.kernels.covariance.partials import room
from ndbench.kernels.covariance.shift import sampled_shift
from ndbench.kernels.covariance.tiles import pixel_axis
from ndbench.kernels.precision import WAYS
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import TRITON_TYPES, Configuration, Variant


@specialized_on()
def gradient_of_pixels(
    X,
    DX,
    matrices,
    v,
    shifts,
    regions,
    firsts,
    taps,
    sources,
    offsets_per_row,
    region_count,
    search_steps,
    classes,
    first_class,
    taken,
    shared,
    m,
    class_stride,
    class_step,
    height,
    width,
    step_h,
    step_w,
    stride_n: tl.int64,
    stride_c: tl.int64,
    stride_h: tl.int64,
    stride_w: tl.int64,
    out_stride_n: tl.int64,
    out_stride_c: tl.int64,
    out_stride_h: tl.int64,
    out_stride_w: tl.int64,
    PIXELS: tl.constexpr,
    TILE: tl.constexpr,
    BLOCK: tl.constexpr,
    CHANNELS: tl.constexpr,
    AXIS: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """Matrices is (Q, shared, m, m), v (K, C) in float64; the tables are those of `Part`.

    The classes are `taken` ones from first_class on, and shared is as many, or 1 where all share their matrices.
    """
    # one dimension: CUDA's second one ends at 65535, and classes may be more
    tiles = tl.load(firsts + region_count)
    tile, part = tl.program_id(0) % tiles, tl.program_id(0) // tiles
    # the region of the tile by bisection: firsts[low] <= tile < firsts[high]
    low, high = tile * 0, tile * 0 + region_count
    for _ in range(search_steps):
        middle = (low + high) // 2
        below = tl.load(firsts + middle) <= tile
        low, high = tl.where(below, middle, low), tl.where(below, high, middle)
    region = regions + low * 16
    columns, area = tl.load(region + 3), tl.load(region + 2) * tl.load(region + 3)
    start = (tile - tl.load(firsts + low)).to(tl.int64) * PIXELS
    q = (start % area).to(tl.int32) + tl.arange(0, PIXELS)
    n, line, column = place_of(q, area, columns, region + 4)
    image = start // area + n
    h = tl.load(region) + line * step_h
    w = tl.load(region + 1) + column * step_w
    exists = image < tl.load(firsts + region_count + 1)
    own = first_class + part % taken
    c = part // taken * TILE + tl.arange(0, TILE)
    weights = matrices + (part % shared).to(tl.int64) * m * m
    first_tap, last_tap = tl.load(region + 8), tl.load(region + 9)
    blocks = (m + CHANNELS - 1) // CHANNELS
    at = image * stride_n + h.to(tl.int64) * stride_h + w.to(tl.int64) * stride_w
    total = tl.full((TILE, PIXELS) if AXIS == 1 else (PIXELS, TILE), 0, tl.float32)
    # BLOCK / CHANNELS taps at a time, and of each as many channels
    lane, block = tl.arange(0, BLOCK) // CHANNELS, tl.arange(0, BLOCK) % CHANNELS
    for step in range((last_tap - first_tap + BLOCK // CHANNELS - 1) // (BLOCK // CHANNELS) * blocks):
        tap = first_tap + step // blocks * (BLOCK // CHANNELS) + lane
        k = step % blocks * CHANNELS + block
        asked = (tap < last_tap) & (k < m)
        dh, dw = tl.load(taps + 4 * tap, mask=asked, other=0), tl.load(taps + 4 * tap + 1, mask=asked, other=0)
        matrix = tl.load(taps + 4 * tap + 2, mask=asked, other=0).to(tl.int64) * shared * m * m
        source = tl.load(sources + tl.load(taps + 4 * tap + 3, mask=asked, other=0) * classes + own)
        channel = source * class_stride + k * class_step
        shift = tl.load(shifts + channel, mask=asked, other=0)
        y = tl.expand_dims(h, 1 - AXIS) + tl.expand_dims(dh, AXIS)
        z = tl.expand_dims(w, 1 - AXIS) + tl.expand_dims(dw, AXIS)
        inside = tl.expand_dims(exists, 1 - AXIS) & tl.expand_dims(asked, AXIS)
        # negative numbers are large ones without a sign
        inside = inside & (y.to(tl.uint32, bitcast=True) < height) & (z.to(tl.uint32, bitcast=True) < width)
        there = channel.to(tl.int64) * stride_c + dh.to(tl.int64) * stride_h + dw.to(tl.int64) * stride_w
        x = tl.load(X + tl.expand_dims(at, 1 - AXIS) + tl.expand_dims(there, AXIS), mask=inside, other=0)
        x = x.to(tl.float32) - tl.expand_dims(shift, AXIS)
        K = tl.load(weights + (matrix + k * m)[:, None] + c[None, :], mask=asked[:, None] & (c < m)[None, :], other=0)
        if AXIS == 1:
            total = tl.dot(tl.trans(K), x, total, input_precision=PRECISION)
        else:
            total = tl.dot(x, K, total, input_precision=PRECISION)
    channel = own * class_stride + c * class_step
    constant = _over_offsets(v, region, channel, c < m, offsets_per_row, classes * m, TILE)
    out = image * out_stride_n + h.to(tl.int64) * out_stride_h + w.to(tl.int64) * out_stride_w
    tl.store(
        DX + tl.expand_dims(out, 1 - AXIS) + tl.expand_dims(channel.to(tl.int64) * out_stride_c, AXIS),
        (total + tl.expand_dims(constant, AXIS)).to(DX.dtype.element_ty),
        mask=tl.expand_dims(exists, 1 - AXIS) & tl.expand_dims(c < m, AXIS),
    )


@triton.jit
def _over_offsets(v, region, channel, kept, offsets_per_row, channels, TILE: tl.constexpr):
    """The sum of v (K, channels) over the offsets of a region, (TILE,) in float32."""
    first, step = tl.load(region + 10), tl.load(region + 12)
    left, width, side = tl.load(region + 13), tl.load(region + 14), tl.load(region + 15)
    count = tl.load(region + 11) * width
    total = tl.zeros((TILE,), tl.float64)
    for start in range(0, count, 16):
        number = start + tl.arange(0, 16)
        offset = (first + number // width * step) * offsets_per_row + left + number % width * side
        at = offset.to(tl.int64)[:, None] * channels + channel[None, :]
        total += tl.sum(tl.load(v + at, mask=(number < count)[:, None] & kept[None, :], other=0), axis=0)
    return total.to(tl.float32)


def configuration(m: int, dtype: torch.dtype, *, axis: int, precision: str) -> Configuration:
    """That of classes of m channels: tiles as large as the registers of every architecture hold.

    Single 16-bit numbers are too small for asynchronous copies: a second stage helps the matrices K alone, and on sm_80
    tiles of 32 have no registers for it.
    """
    tile = 16 if m <= 16 else 32 if m <= 32 or precision == "ieee" else 64
    constants = {
        "PIXELS": PIXELS,
        "TILE": tile,
        "BLOCK": 16,
        "CHANNELS": 4 if m <= 4 else 16,
        "AXIS": axis,
        "PRECISION": precision,
    }
    return Configuration(constants, warps=8, stages=1 if tile == 32 and dtype != torch.float32 else 2)


def adjoint(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches, *, precision: str) -> Tensor:
    """Gradient with respect to x from those of mean and covariance, for every stride and both groupings.

    Besides the gradient it takes a tenth of x and the size of mean and covariance, or 4 MiB: the matrices K, in as many
    launches as that takes.

    Args:
        x: input, shape (N, C, H, W), any strides, float32, float16 or bfloat16.
        mean: of the patches, as the algorithm returned it, (F,) or (G, F), in float32, as are the gradients.
        dmean: gradient with respect to the mean, of its shape.
        dcov: gradient with respect to the covariance, (F, F) or (G, F, F); only its symmetric part counts.
        patches: which patches, and their blocks.
        precision: of the products.

    Returns:
        gradient with respect to x, of its shape and type.
    """
    M, dmean, dcov = rows_of(x, patches), dmean.resolve_neg(), dcov.resolve_neg().contiguous()
    images, channels, height, width = x.shape
    plan = AdjointPlan.of(patches, (images, channels, height, width), numbers(x, patches), x.device)
    means = sampled_shift(x)
    v = constants(mean.contiguous(), dmean.contiguous(), dcov, of_columns(means, plan.channel), M)
    v = of_columns(v.flatten(), plan.columns)
    dx = torch.empty_like(x) if plan.everywhere else torch.zeros_like(x)
    tables = ClassTables.of(patches, channels, x.device)
    for part in plan.parts:
        for first in range(0, tables.count, plan.classes):
            taken = range(first, min(first + plan.classes, tables.count))
            held = taken if tables.units > 1 else range(1)
            K = matrices(dcov, patches, part, tables, held, M)
            write_pixels(dx, x, patches, part, tables, taken, K, v, means, precision)
            # one part's matrices at a time
            del K
    return dx


def write_pixels(
    dx: Tensor,
    x: Tensor,
    patches: Patches,
    part: Part,
    tables: ClassTables,
    taken: range,
    K: Tensor,
    v: Tensor,
    means: Tensor,
    precision: str,
) -> None:
    """The gradient of the pixels of a part of the plan, of the channels of some classes."""
    chosen = configuration(tables.m, x.dtype, axis=pixel_axis(x), precision=precision)
    regions = len(part.regions)
    gradient_of_pixels[(part.programs * len(taken) * triton.cdiv(tables.m, chosen.constants["TILE"]),)](
        x,
        dx,
        K,
        v,
        means,
        part.regions,
        part.firsts,
        part.taps,
        tables.sources,
        patches.kernel_size[1],
        regions,
        (regions - 1).bit_length(),
        tables.count,
        taken.start,
        len(taken),
        K.shape[1],
        tables.m,
        tables.stride,
        tables.step,
        *x.shape[2:],
        *patches.stride,
        *x.stride(),
        *dx.stride(),
        **chosen.options(),
    )


def of_columns(values: Tensor, places: Tensor) -> Tensor:
    """The value at each of the places, which are in int32."""
    return values.index_select(0, places.flatten()).view_as(places)


def numbers(x: Tensor, patches: Patches) -> int:
    """How many numbers the matrices K may have at a time: what v, in two orders, and tables leave of the room."""
    groups = patches.groups(x.shape[1])
    columns = x.shape[1] * patches.offsets
    F = columns // groups
    outputs = 4 * (1 if patches.pooled else groups) * F * (F + 1)
    return max(0, room(x.numel() * x.element_size(), outputs) - 32 * columns) // 4


def variants() -> Iterator[Variant]:
    """Every configuration that `adjoint` may launch."""
    integers = (
        *("offsets_per_row", "region_count", "search_steps", "classes", "first_class", "taken", "shared"),
        *("m", "class_stride", "class_step", "height", "width", "step_h", "step_w"),
    )
    strides = [f"{side}stride_{axis}" for side in ("", "out_") for axis in "nchw"]
    for dtype, precision, vendors in WAYS:
        element = TRITON_TYPES[dtype]
        signature = {
            **dict.fromkeys(("X", "DX"), f"*{element}"),
            "matrices": "*fp32",
            "v": "*fp64",
            "shifts": "*fp32",
            **dict.fromkeys(("regions", "firsts", "taps", "sources"), "*i32"),
            **dict.fromkeys(integers, "i32"),
            **dict.fromkeys(strides, "i64"),
        }
        for m in (4, 16, 32, 64):
            for axis in (0, 1):
                layout = "pixels_last" if axis else "channels_last"
                yield Variant(
                    f"covariance.adjoint/{m}/{layout}/{element}/{precision}",
                    gradient_of_pixels,
                    signature,
                    configuration(m, dtype, axis=axis, precision=precision),
                    precision=precision,
                    vendors=vendors,
                )
