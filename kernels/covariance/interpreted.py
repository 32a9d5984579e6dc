"""How long Triton's interpreter takes: it spends milliseconds on every program, however small."""

import torch

from ndbench.covariance.adjoint_regions import reaches
from ndbench.covariance.patches import Patches
from ndbench.covariance.pieces import axes
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.covariance.im2col_products import tile_of
from ndbench.kernels.covariance.lagged_plan import chunks_of, lags_that_meet


def milliseconds(algorithm: str, shape: tuple[int, int, int, int], patches: Patches) -> float:
    """A mean and covariance of an input of this shape, roughly: 2 ms for each 16 rows of a program."""
    tables = ClassTables.of(patches, shape[1], torch.device("cpu"))
    if algorithm == "lagged":
        pieces = [piece for lag in lags_that_meet(patches, shape) for piece in lag.pieces]
        sixteens = sum(-(-shape[0] * piece.pixels // 16) for piece in pieces)
        return 24 + 2.4 * sum(chunks_of(patches, shape, tables.count)) + 1.8 * tables.count * sixteens
    height, width = patches.output_size(*shape[2:])
    groups = patches.groups(shape[1])
    F = shape[1] * patches.offsets // groups
    count = -(-F // tile_of(F))
    return 36 + 2.4 * groups * count * (count + 1) // 2 * -(-shape[0] * height * width // 16)


def adjoint_milliseconds(shape: tuple[int, int, int, int], patches: Patches) -> float:
    """Its gradient, likewise: 10 ms for every region of pixels and class of channels."""
    tables = ClassTables.of(patches, shape[1], torch.device("cpu"))
    rows, columns = axes(patches, *shape[2:])
    return 36 + 10 * tables.count * len(reaches(rows)) * len(reaches(columns))
