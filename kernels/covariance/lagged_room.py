"""How many partial sums the lagged algorithm has memory for."""

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.lagged_plan import chunks_of
from ndbench.kernels.covariance.lagged_products import record_of, tile_of
from ndbench.kernels.covariance.partials import room

Shape = tuple[int, int, int, int]


def planes_of(tables: ClassTables) -> int:
    """Pairs of tiles of channels, of all classes that are not added up."""
    return tables.units * (-(-tables.m // tile_of(tables.m))) ** 2


def affordable(shape: Shape, itemsize: int, patches: Patches, tables: ClassTables) -> int:
    """Partial sums of every plane, for an input of this shape and so many bytes a number."""
    images, channels, height, width = shape
    columns = tables.units * tables.m * patches.offsets
    groups = patches.groups(channels) * tables.units // tables.count
    F = columns // groups
    outputs = 4 * (1 if patches.pooled else groups) * F * (F + 1)
    # means inside and outside the image in float64, and shifts
    means = 16 * columns + 4 * channels
    left = room(images * channels * height * width * itemsize, outputs) - means
    return left // (4 * planes_of(tables) * record_of(tables.m))


def fits(shape: Shape, patches: Patches, tables: ClassTables) -> bool:
    """Whether there is memory for one partial sum of each piece, of an input in float32."""
    pieces = chunks_of(patches, shape, tables.count // tables.units)
    return len(pieces) <= affordable(shape, 4, patches, tables)
