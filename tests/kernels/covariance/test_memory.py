"""What a covariance and its gradient hold beside x and what they return: a tenth of x and the size of mean and
covariance, or 4 MiB.

Nothing runs: on the device "meta" tensors have a shape and no memory, so that images may be of any size.
"""

from itertools import product

import pytest
import torch

from ndbench import patch_covariance
from ndbench.covariance import Patches
from ndbench.kernels.covariance import choice, im2col, lagged
from ndbench.kernels.covariance.adjoint import adjoint
from tests.kernels.allocations import most_held
from tests.kernels.launches import kept_from_running

LEAST = 2**22
SIZES = [(1, 64, 7, 7), (32, 64, 32, 32), (256, 64, 56, 56), (64, 2048, 7, 7), (8, 33, 16, 20), (2, 512, 14, 14)]
SIZES += [(256, 3, 224, 224), (16, 128, 28, 28)]
KERNELS = [{"kernel_size": 1}, {"kernel_size": 3, "padding": 1}, {"kernel_size": 7, "padding": 3, "stride": 2}]
KERNELS += [{"kernel_size": 7, "padding": 3}, {"kernel_size": (3, 2), "dilation": 2}]
BLOCKS = [None, 64, 16, 8, 1]
GROUPINGS = [{"pooled": True}, {"pooled": False}, {"pooled": True, "grouping": "interleaved"}]
GEOMETRIES = [
    (shape, Patches.of(**kernel, block=block, **grouping))
    for shape, kernel, block, grouping in product(SIZES, KERNELS, BLOCKS, GROUPINGS)
    # covariances of 100 GB are as large as a GPU
    if shape[1] % (block or 1) == 0 and (block or shape[1]) * kernel_area(kernel) <= 30_000
]
