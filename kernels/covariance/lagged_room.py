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
    """Partial sums of every plane, for an input of this shape and so many bytes a number; 0 or less is none."""
    images, channels, height, width = shape
    K, columns = patches.offsets, tables.units * tables.m * patches.offsets
    groups = patches.groups(channels) * tables.units // tables.count
    F = columns // groups
    outputs = 4 * (1 if patches.pooled else groups) * F * (F + 1)
    # means of columns in float64, their tables, and those of classes and of pairs of offsets
    besides = 64 * columns + 8 * channels + 4 * (2 * K - 1) * tables.count + 32 * K**2
    left = room(images * channels * height * width * itemsize, outputs) - besides
    return left // least(tables)


def least(tables: ClassTables) -> int:
    """Bytes of one partial sum of every plane."""
    return 4 * planes_of(tables) * record_of(tables.m)


def fits(shape: Shape, itemsize: int, patches: Patches, tables: ClassTables) -> bool:
    """Whether there is memory for one partial sum of each piece."""
    pieces = chunks_of(patches, shape, tables.count // tables.units)
    return len(pieces) <= affordable(shape, itemsize, patches, tables)
