"""The matrices of the adjoint: sums of blocks of the gradient with respect to the covariance.

K[c', c] = sum over its pairs (t', t) of Gs[(c', t'), (c, t)],    Gs = (dcov + dcov^T) / M.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.covariance.adjoint_plan import AdjointPlan
from ndbench.kernels.covariance.classes import ClassTables
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@specialized_on()
def sum_pairs(
    dcov,
    matrices,
    first,
    pairs,
    sources,
    group,
    position,
    entries: tl.int64,
    rows: tl.int64,
    columns,
    offsets,
    classes,
    shared,
    separate,
    m,
    BLOCK: tl.constexpr,
):
    """BLOCK entries of all matrices a program; matrices is (Q, A', m, m); separate is 0 where groups are pooled."""
    entry = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = entry < entries
    j, i = (entry % m).to(tl.int32), (entry // m % m).to(tl.int32)
    own = (entry // m // m % shared).to(tl.int32)
    matrix = entry // m // m // shared
    start = tl.load(first + matrix, mask=exists, other=0)
    count = tl.load(first + matrix + 1, mask=exists, other=0) - start
    total = tl.zeros((BLOCK,), tl.float64)
    for number in range(tl.max(count)):
        asked = number < count
        pair = pairs + 3 * (start + number)
        there, here = tl.load(pair, mask=asked, other=0), tl.load(pair + 1, mask=asked, other=0)
        # where all classes share their matrices, class 0 meets itself
        other = tl.load(sources + tl.load(pair + 2, mask=asked, other=0) * classes + own, mask=asked, other=0)
        row = tl.load(position + (other * m + i) * offsets + there, mask=asked, other=0).to(tl.int64)
        column = tl.load(position + (own * m + j) * offsets + here, mask=asked, other=0).to(tl.int64)
        unit = tl.load(group + own * offsets + here, mask=asked, other=0).to(tl.int64) * separate * columns
        total += tl.load(dcov + (unit + row) * columns + column, mask=asked, other=0).to(tl.float64)
        total += tl.load(dcov + (unit + column) * columns + row, mask=asked, other=0).to(tl.float64)
    tl.store(matrices + entry, (total / rows).to(tl.float32), mask=exists)


CONFIGURATION = Configuration({"BLOCK": 1024}, warps=4)


def matrices(dcov: Tensor, plan: AdjointPlan, tables: ClassTables, rows: int) -> Tensor:
    """K of every matrix of the plan, (Q, A', m, m) in float32, from dcov, contiguous, and the number M of rows."""
    units, m, K = tables.position.shape
    found = torch.empty((len(plan.first) - 1, units, m, m), dtype=torch.float32, device=dcov.device)
    sum_pairs[(triton.cdiv(found.numel(), CONFIGURATION.constants["BLOCK"]),)](
        dcov,
        found,
        plan.first,
        plan.pairs,
        tables.sources,
        tables.group,
        tables.position,
        found.numel(),
        rows,
        dcov.shape[-1],
        K,
        tables.count,
        units,
        int(dcov.ndim == 3),
        m,
        **CONFIGURATION.options(),
    )
    return found


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    signature = {
        **dict.fromkeys(("dcov", "matrices"), "*fp32"),
        **dict.fromkeys(("first", "pairs", "sources", "group", "position"), "*i32"),
        **dict.fromkeys(("entries", "rows"), "i64"),
        **dict.fromkeys(("columns", "offsets", "classes", "shared", "separate", "m"), "i32"),
    }
    yield Variant("covariance.adjoint_matrices", sum_pairs, signature, CONFIGURATION, precision="ieee", products=False)
