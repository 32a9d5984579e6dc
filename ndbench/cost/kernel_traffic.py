"""Models of the bytes that the covariance's Triton kernels load and store, launch by launch.

What a program asks of the memory system counts, as often as it asks: every number that the mask of a load or a store
lets through. Caches answer a part of it, so these are no times; they do not depend on the device. What PyTorch's own
operators move between the launches (the shifts of columns, a gradient filled with zeros) is not in these models.

Each function names the kernels in the order of their launches. Tensors are read for shape, strides and type only: those
of the device "meta" serve.

    >>> import torch
    >>> from ndbench.covariance.patches import Patches
    >>> x = torch.empty(8, 64, 32, 32, device="meta")
    >>> lagged(x, Patches.of(3, padding=1, block=16))[0]
    Moved(kernel='sampled_means', loaded=261376, stored=256)
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ndbench.cost.kernels import HOST, blocks_of, shape_of
from ndbench.covariance.assembly import window_counts
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes
from ndbench.kernels.covariance import (
    adjoint,
    adjoint_constants,
    im2col_assembly,
    im2col_products,
    lagged_assembly,
    lagged_plan,
    lagged_pooling,
    lagged_products,
    lagged_room,
    partials,
    shift,
)
from ndbench.kernels.covariance.adjoint_plan import AdjointPlan, Part
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.lagged_plan import LaggedPlan
from ndbench.kernels.covariance.tiles import CHUNK, pixel_axis
from ndbench.kernels.covariance.triangle import products_of, record_of

INTEGER, SINGLE, DOUBLE = 4, 4, 8
"""Bytes of a number: in a table, in float32 and in float64."""
PLACE = 4 * INTEGER
"""What `division.place_of` loads: two multipliers and two shifts."""


class Moved(NamedTuple):
    """One launch of a kernel.

    Attributes:
        kernel: name of the kernel's function.
        loaded: bytes that its programs load.
        stored: bytes that they store.
    """

    kernel: str
    loaded: int
    stored: int


def im2col(x: Tensor, patches: Patches, precision: str = "ieee") -> list[Moved]:
    """Covariance by implicit im2col: `ndbench.kernels.covariance.im2col`.

    Args:
        x: input, shape (N, C, H, W), of the strides and type that it would have.
        patches: which patches, and their blocks.
        precision: of the products.

    Returns:
        the launches in their order.
    """
    groups = patches.groups(x.shape[1])
    F, units = x.shape[1] * patches.offsets // groups, 1 if patches.pooled else groups
    slots = im2col_products.slots_of(x, patches, units, F)
    launches = [sampled_means(x), multiply_columns(x, patches, precision)]
    if slots > partials.DIRECT:
        launches.append(add_partials(units, 1, slots, record_of(F)))
        return [*launches, assemble_columns(units, F, 1, DOUBLE)]
    return [*launches, assemble_columns(units, F, slots, SINGLE)]


def sampled_means(x: Tensor) -> Moved:
    """A sample of the pixels of every channel."""
    images, channels, height, width = shape_of(x)
    samples = min(images * height * width, shift.SAMPLES)
    return Moved("sampled_means", channels * samples * x.element_size(), channels * SINGLE)


def multiply_columns(x: Tensor, patches: Patches, precision: str) -> Moved:
    """Pairs of tiles of columns: each tile of T is loaded T + 1 times, where its windows lie inside the image."""
    groups, (height, width) = patches.groups(x.shape[1]), patches.output_size(*x.shape[2:])
    F, units = x.shape[1] * patches.offsets // groups, 1 if patches.pooled else groups
    constants = im2col_products.configuration(F, axis=pixel_axis(x), precision=precision).constants
    across, slots = -(-F // constants["TILE"]), im2col_products.slots_of(x, patches, units, F)
    pairs, rows = im2col_products.pairs_of(across), len(x) * height * width
    chunks, blocks = groups * -(-rows // CHUNK), groups * blocks_of(rows, constants["BLOCK"])
    inside = len(x) * x.shape[1] * int(window_counts(*axes(patches, *x.shape[2:])).diagonal().sum())
    columns = F * (across + 1)
    loaded = (
        # the tiles of the pair, twice, and the shifts of their columns
        units * slots * (pairs * 4 * INTEGER + columns * SINGLE)
        # channel, row and column of every column
        + chunks * columns * 3 * INTEGER
        + blocks * pairs * PLACE
        + inside * (across + 1) * x.element_size()
    )
    return Moved("multiply_columns", loaded, units * slots * (products_of(F) + F) * SINGLE)


def add_partials(planes: int, pieces: int, slots: int, record: int) -> Moved:
    """Each of the slots of every plane once, into as many sums as there are pieces."""
    blocks = planes * pieces * -(-record // partials.CONFIGURATION.constants["BLOCK"])
    loaded = blocks * 2 * INTEGER + planes * slots * record * SINGLE
    return Moved("add_partials", loaded, planes * pieces * record * DOUBLE)


def assemble_columns(units: int, F: int, slots: int, itemsize: int) -> Moved:
    """Lines of pairs of tiles (i, j), i <= j: T - i times the sums of a tile's columns as rows, j + 1 times as columns.

    Args:
        units: covariances.
        F: their order.
        slots: partial sums of each one.
        itemsize: bytes of their numbers.
    """
    tile = im2col_products.tile_of(F)
    sizes = widths(F, tile)
    programs = im2col_products.pairs_of(len(sizes)) * (tile // im2col_assembly.LINES)
    as_rows = sum(size * (len(sizes) - number) for number, size in enumerate(sizes))
    # every program of a pair loads all columns
    as_columns = tile // im2col_assembly.LINES * sum(size * (number + 1) for number, size in enumerate(sizes))
    loaded = (
        programs * 2 * INTEGER
        + slots * (products_of(F) + as_rows + as_columns) * itemsize
        # places in the covariance, and shifts
        + (as_rows + as_columns) * INTEGER
        + as_rows * SINGLE
    )
    return Moved("assemble_columns", units * loaded, units * (F * F + F) * SINGLE)


def widths(length: int, tile: int) -> list[int]:
    """What lies inside of each tile."""
    return [min(tile, length - start) for start in range(0, length, tile)]


def lagged(x: Tensor, patches: Patches, precision: str = "ieee") -> list[Moved]:
    """Covariance by one product for each lag and piece: `ndbench.kernels.covariance.lagged`.

    Args:
        x: input, shape (N, C, H, W), of the strides and type that it would have.
        patches: which patches, and their blocks.
        precision: of the products.

    Returns:
        the launches in their order.
    """
    shape, tables = shape_of(x), ClassTables.of(patches, x.shape[1], HOST)
    stack, planes = tables.count // tables.units, lagged_room.planes_of(tables)
    chunks = lagged_plan.chunks_of(patches, shape, stack)
    affordable = lagged_room.affordable(shape, x.element_size(), patches, tables)
    most = lagged_plan.chunks_per_program(chunks, planes, affordable)
    plan = LaggedPlan.of(patches, shape, stack, most, HOST)
    pieces, slots = len(chunks), len(plan.work)
    launches = [sampled_means(x)]
    # of an image that lies between the patches there is nothing to multiply
    if slots:
        launches.append(multiply_pieces(x, patches, tables, slots, precision))
    if slots > pieces:
        launches.append(add_partials(planes, pieces, slots, lagged_products.record_of(tables.m)))
    itemsize = DOUBLE if slots > pieces else SINGLE
    groups = patches.groups(x.shape[1]) // stack
    pooling = patches.pooled and groups > 1
    assembly = pool_pieces(groups, tables, plan, itemsize) if pooling else assemble_pieces(tables, plan, itemsize)
    return [*launches, average_pieces(tables, plan, itemsize), assembly]


def multiply_pieces(x: Tensor, patches: Patches, tables: ClassTables, slots: int, precision: str) -> Moved:
    """Every pixel of every piece in both operands, for each of the tiles that the other one has."""
    constants = lagged_products.configuration(tables.m, axis=pixel_axis(x), precision=precision).constants
    across = -(-tables.m // constants["TILE"])
    pieces = [piece for lag in lagged_plan.lags_that_meet(patches, shape_of(x)) for piece in lag.pieces]
    rows = [len(x) * piece.pixels for piece in pieces]
    chunks, blocks = (
        sum(-(-count // CHUNK) for count in rows),
        sum(blocks_of(count, constants["BLOCK"]) for count in rows),
    )
    programs = tables.units * across**2 * slots
    both = 2 * across * tables.m
    # of a program 3 numbers about its work and 9 about its piece; of a chunk the partner and shifts
    loaded = programs * 12 * INTEGER + tables.count * (
        chunks * (across**2 * INTEGER + both * SINGLE)
        + blocks * across**2 * PLACE
        + sum(rows) * both * x.element_size()
    )
    return Moved("multiply_pieces", loaded, programs * lagged_products.record_of(tables.m) * SINGLE)


def average_pieces(tables: ClassTables, plan: LaggedPlan, itemsize: int) -> Moved:
    """Means of all columns from the sums of their pieces, which are those of pairs of an offset with itself."""
    channels, K = tables.units * tables.m, len(plan.presence)
    # two ends, shift, group and position, and the part of windows that hold pixels
    of_column = 2 * INTEGER + SINGLE + 2 * INTEGER + DOUBLE
    held = int(pieces_of_pairs(plan)[:K].sum())
    loaded = channels * (K * of_column + held * (INTEGER + itemsize))
    return Moved("average_pieces", loaded, channels * K * 2 * DOUBLE)


def assemble_pieces(tables: ClassTables, plan: LaggedPlan, itemsize: int) -> Moved:
    """All products of a class and its partner at every pair of offsets."""
    m, (pairs, K), held = tables.m, (len(plan.pairs), len(plan.presence)), int(pieces_of_pairs(plan).sum())
    entries = tables.units * pairs * m**2
    block = lagged_assembly.CONFIGURATION.constants["BLOCK"]
    # offsets, partner, group and positions
    of_entry = 2 * INTEGER + INTEGER + INTEGER + 2 * INTEGER + OF_ENTRY
    loaded = (
        entries * of_entry + tables.units * m**2 * held * of_piece(itemsize) + -(-entries // block) * block * PRESENT
    )
    # each entry and its mirror image, of the products of an offset with itself those of one triangle
    return Moved("assemble_pieces", loaded, tables.units * ((pairs - K) * 2 * m**2 + K * m**2) * SINGLE)


def pool_pieces(groups: int, tables: ClassTables, plan: LaggedPlan, itemsize: int) -> Moved:
    """One triangle of the covariance, each entry from those of every group, and its mirror image."""
    m, K, held = tables.m, len(plan.presence), pieces_of_pairs(plan)
    F = tables.count * m * K // groups
    block = lagged_pooling.CONFIGURATION.constants["BLOCK"]
    # class, channel and offset of two columns, the pair of offsets, and what means of groups differ by
    of_entry = 6 * INTEGER + INTEGER + 2 * DOUBLE + OF_ENTRY
    # every class meets one at each pair of offsets: pairs of an offset with itself have a triangle
    of_pieces = int(held[:K].sum()) * products_of(m) + int(held[K:].sum()) * m**2
    loaded = (
        groups * products_of(F) * of_entry
        + tables.count * of_pieces * of_piece(itemsize)
        + groups * -(-F * F // block) * block * PRESENT
    )
    return Moved("pool_pieces", loaded, F * F * SINGLE)


OF_ENTRY = 2 * INTEGER + 2 * DOUBLE + 2 * SINGLE + DOUBLE
"""What `lagged_assembly.entry_of` loads of an entry: the ends of its pieces, means, shifts and a variance."""
PRESENT = 2 * DOUBLE
"""And of every lane, whether it has an entry or not."""


def of_piece(itemsize: int) -> int:
    """What it loads of a piece of an entry: its number, the sum of products, and two sums."""
    return INTEGER + 3 * itemsize


def pieces_of_pairs(plan: LaggedPlan) -> Tensor:
    """How many pieces each pair of offsets has, those of an offset with itself first, (P,)."""
    return plan.pairs[:, 3] - plan.pairs[:, 2]


def covariance_adjoint(x: Tensor, patches: Patches, precision: str = "ieee") -> list[Moved]:
    """Gradient with respect to the input: `ndbench.kernels.covariance.adjoint.adjoint`.

    Args:
        x: input, shape (N, C, H, W), of the strides and type that it would have.
        patches: which patches, and their blocks.
        precision: of the products.

    Returns:
        the launches in their order.
    """
    tables = ClassTables.of(patches, x.shape[1], HOST)
    plan = AdjointPlan.of(patches, shape_of(x), adjoint.numbers(x, patches), HOST)
    launches = [sampled_means(x), column_constants(*plan.channel.shape)]
    for part in plan.parts:
        for first in range(0, tables.count, plan.classes):
            taken = min(plan.classes, tables.count - first)
            launches.append(sum_pairs(part, tables.m, taken if tables.units > 1 else 1))
            launches.append(gradient_of_pixels(x, patches, part, tables, taken=taken, precision=precision))
    return launches


def column_constants(groups: int, F: int) -> Moved:
    """Both triangles of the gradient of every covariance, twice, and means and shifts for every tile of columns."""
    across = -(-F // adjoint_constants.CONFIGURATION.constants["TILE"])
    loaded = groups * (2 * F * F + 2 * across * F + F) * SINGLE
    return Moved("column_constants", loaded, groups * F * DOUBLE)


def sum_pairs(part: Part, m: int, classes: int) -> Moved:
    """Of an entry of a matrix 8 numbers about it and its partner, of each of its pairs two entries and their places."""
    entries = classes * m**2
    pairs = int((part.matrices[:, 1] * part.matrices[:, 4]).sum())
    loaded = entries * (len(part.matrices) * 9 * INTEGER + pairs * (3 * INTEGER + 2 * SINGLE))
    return Moved("sum_pairs", loaded, entries * len(part.matrices) * SINGLE)


def gradient_of_pixels(
    x: Tensor, patches: Patches, part: Part, tables: ClassTables, *, taken: int, precision: str
) -> Moved:
    """Tiles of pixels and channels: each loads every tap of its region, where it reads the image, and its matrix."""
    m = tables.m
    constants = adjoint.configuration(m, x.dtype, axis=pixel_axis(x), precision=precision).constants
    across, lanes = -(-m // constants["TILE"]), constants["BLOCK"] // constants["CHANNELS"]
    regions = part.regions.long()
    programs, taps = part.firsts.diff()[:-1].long(), regions[:, 9] - regions[:, 8]
    steps = -(-taps // lanes) * -(-m // constants["CHANNELS"])
    # a search among the regions, 20 numbers about one, and of every step as many as lanes about classes
    tables_of = (20 + (len(regions) - 1).bit_length() + steps * constants["BLOCK"]) * across
    # of each tap and channel 4 numbers and a shift, of a pair of channels a number of the matrix
    of_taps = taps * m * (across * (4 * INTEGER + SINGLE) + m * SINGLE)
    constant = regions[:, 11] * regions[:, 14] * m * DOUBLE
    of_regions = int((programs * (tables_of * INTEGER + of_taps + constant)).sum())
    pixels = len(x) * m * x.element_size()
    loaded = of_regions + across * pixels * taps_inside(part, patches, *x.shape[2:])
    written = pixels * int((regions[:, 2] * regions[:, 3]).sum())
    return Moved("gradient_of_pixels", taken * loaded, taken * written)


def taps_inside(part: Part, patches: Patches, height: int, width: int) -> int:
    """Pixels that the taps of all regions read inside an image."""
    regions, taps = part.regions.long(), part.taps.long()
    of_tap = regions.repeat_interleave(regions[:, 9] - regions[:, 8], dim=0)
    rows, columns = (
        _inside(of_tap[:, axis], of_tap[:, 2 + axis], patches.stride[axis], taps[:, axis], length)
        for axis, length in enumerate((height, width))
    )
    return int((rows * columns).sum())


def _inside(first: Tensor, count: Tensor, step: int, distance: Tensor, length: int) -> Tensor:
    """How many of the places first + i step + distance, i < count, lie in 0 ... length - 1."""
    start = first + distance
    low = torch.clamp(-(start // step), min=0)
    high = torch.minimum((length - 1 - start) // step, count - 1)
    return torch.clamp(high - low + 1, min=0)
