"""The matrices of the adjoint: sums of blocks of the gradient with respect to the covariance.

K[c', c] = sum over its pairs (t', t) of Gs[(c', t'), (c, t)],    Gs = (dcov + dcov^T) / M.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.covariance.patches import Patches
from ndbench.kernels.covariance.adjoint_plan import Part
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@specialized_on()
def sum_pairs(
    dcov,
    matrices,
    described,
    sources,
    group,
    position,
    entries: tl.int64,
    rows: tl.int64,
    columns,
    offsets_per_row,
    offsets,
    classes,
    first_class,
    taken,
    separate,
    m,
    BLOCK: tl.constexpr,
):
    """BLOCK entries of all matrices a program; described is that of `Part.matrices`, matrices (Q, taken, m, m).

    The classes are those from first_class on; separate is 0 where groups are pooled.
    """
    entry = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = entry < entries
    j, i = (entry % m).to(tl.int32), (entry // m % m).to(tl.int32)
    own = first_class + (entry // m // m % taken).to(tl.int32)
    matrix = described + entry // m // m // taken * 8
    down, row_step = tl.load(matrix, mask=exists, other=0), tl.load(matrix + 2, mask=exists, other=0)
    right, column_step = tl.load(matrix + 3, mask=exists, other=0), tl.load(matrix + 5, mask=exists, other=0)
    across, lag = tl.load(matrix + 4, mask=exists, other=1), tl.load(matrix + 6, mask=exists, other=0)
    count = tl.load(matrix + 1, mask=exists, other=0) * across
    # where all classes share their matrices, class 0 meets itself
    other = tl.load(sources + tl.load(matrix + 7, mask=exists, other=0) * classes + own, mask=exists, other=0)
    total = tl.zeros((BLOCK,), tl.float64)
    for number in range(tl.max(count)):
        asked = number < count
        here = (down + number // across * row_step) * offsets_per_row + right + number % across * column_step
        row = tl.load(position + (other * m + i) * offsets + here + lag, mask=asked, other=0).to(tl.int64)
        column = tl.load(position + (own * m + j) * offsets + here, mask=asked, other=0).to(tl.int64)
        unit = tl.load(group + own * offsets + here, mask=asked, other=0).to(tl.int64) * separate * columns
        total += tl.load(dcov + (unit + row) * columns + column, mask=asked, other=0).to(tl.float64)
        total += tl.load(dcov + (unit + column) * columns + row, mask=asked, other=0).to(tl.float64)
    tl.store(matrices + entry, (total / rows).to(tl.float32), mask=exists)


CONFIGURATION = Configuration({"BLOCK": 1024}, warps=4)


def matrices(dcov: Tensor, patches: Patches, part: Part, tables: ClassTables, classes: range, rows: int) -> Tensor:
    """K of every matrix of a part of the plan, (Q, A', m, m) in float32.

    Args:
        dcov: gradient with respect to the covariance, contiguous.
        patches: which patches, and their blocks.
        part: the matrices.
        tables: the classes.
        classes: those whose matrices are wanted, A' of them; one where it stands for all.
        rows: M.
    """
    _, m, K = tables.position.shape
    found = torch.empty((len(part.matrices), len(classes), m, m), dtype=torch.float32, device=dcov.device)
    sum_pairs[(triton.cdiv(found.numel(), CONFIGURATION.constants["BLOCK"]),)](
        dcov,
        found,
        part.matrices,
        tables.sources,
        tables.group,
        tables.position,
        found.numel(),
        rows,
        dcov.shape[-1],
        patches.kernel_size[1],
        K,
        tables.count,
        classes.start,
        len(classes),
        int(dcov.ndim == 3),
        m,
        **CONFIGURATION.options(),
    )
    return found


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    signature = {
        **dict.fromkeys(("dcov", "matrices"), "*fp32"),
        **dict.fromkeys(("described", "sources", "group", "position"), "*i32"),
        **dict.fromkeys(("entries", "rows"), "i64"),
        **dict.fromkeys(("columns", "offsets_per_row", "offsets", "classes", "first_class", "taken"), "i32"),
        **dict.fromkeys(("separate", "m"), "i32"),
    }
    yield Variant("covariance.adjoint_matrices", sum_pairs, signature, CONFIGURATION, precision="ieee", products=False)
