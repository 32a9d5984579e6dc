"""Which kernels should be the faster ones, from exact counts of their multiplications."""

from functools import lru_cache

import torch

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.im2col_products import tile_of as tile_of_columns
from ndbench.kernels.covariance.lagged_plan import chunks_of
from ndbench.kernels.covariance.lagged_products import tile_of as tile_of_channels
from ndbench.kernels.covariance.lagged_room import fits
from ndbench.kernels.covariance.tiles import CHUNK


@lru_cache(maxsize=256)
def fewest(shape: tuple[int, int, int, int], patches: Patches, itemsize: int = 4) -> str:
    """The algorithm with fewer multiplications for inputs of this shape, those of padded tiles and chunks included.

    "lagged" wins where blocks fill its tiles of 16, 32 or 64 channels and pieces of the image a good part of 1024 rows,
    "im2col" with blocks of a few channels, kernels of 1, and strides that leave no offsets with a common pixel. No
    times stand behind this. Where "lagged" would hold more than a tenth of x and the size of mean and covariance, or
    4 MiB, "im2col" is chosen.

    Args:
        shape: of x.
        patches: which patches, and their blocks.
        itemsize: bytes of one number of x.
    """
    tables = ClassTables.of(patches, shape[1], torch.device("cpu"))
    if not fits(shape, itemsize, patches, tables):
        return "im2col"
    return "lagged" if lagged_multiplications(shape, patches) < im2col_multiplications(shape, patches) else "im2col"


def lagged_multiplications(shape: tuple[int, int, int, int], patches: Patches) -> int:
    """Chunks of all pieces and classes, times the tiles of two classes."""
    tables = ClassTables.of(patches, shape[1], torch.device("cpu"))
    tile = tile_of_channels(tables.m)
    return CHUNK * sum(chunks_of(patches, shape, tables.count)) * (-(-tables.m // tile) * tile) ** 2


def im2col_multiplications(shape: tuple[int, int, int, int], patches: Patches) -> int:
    """Chunks of all rows, times the upper tiles of the columns."""
    height, width = patches.output_size(*shape[2:])
    groups = patches.groups(shape[1])
    F = shape[1] * patches.offsets // groups
    count = -(-F // tile_of_columns(F))
    chunks = groups * -(-shape[0] * height * width // CHUNK)
    return CHUNK * chunks * count * (count + 1) // 2 * tile_of_columns(F) ** 2
