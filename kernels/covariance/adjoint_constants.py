"""What the gradient of a pixel holds whatever the pixels around it are.

With s_a the shift of the channel of column a, in every group

    v_b = dmean_b / M - sum over a of (mean_a - s_a) Gs_ab,    Gs = (dcov + dcov^T) / M,

in float64; a pixel adds up the v of the columns that read it.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant


@specialized_on()
def column_constants(mean, dmean, dcov, shifts, v, rows: tl.int64, columns, shared, TILE: tl.constexpr):
    """A tile of the columns of one group a program; shared is 1 where all groups share mean and covariance, else 0."""
    group = tl.program_id(0).to(tl.int64)
    unit = group * (1 - shared)
    b = tl.program_id(1) * TILE + tl.arange(0, TILE)
    G = dcov + unit * columns * columns
    total = tl.zeros((TILE,), tl.float64)
    for start in range(0, columns, TILE):
        a = start + tl.arange(0, TILE)
        inside = (a < columns)[:, None] & (b < columns)[None, :]
        wide_a, wide_b = a.to(tl.int64)[:, None], b.to(tl.int64)[None, :]
        here = tl.load(G + wide_a * columns + wide_b, mask=inside, other=0).to(tl.float64)
        here += tl.load(G + wide_b * columns + wide_a, mask=inside, other=0).to(tl.float64)
        center = tl.load(mean + unit * columns + a, mask=a < columns, other=0).to(tl.float64)
        center -= tl.load(shifts + group * columns + a, mask=a < columns, other=0).to(tl.float64)
        total += tl.sum(center[:, None] * here, axis=0)
    given = tl.load(dmean + unit * columns + b, mask=b < columns, other=0).to(tl.float64)
    tl.store(v + group * columns + b, (given - total) / rows, mask=b < columns)


CONFIGURATION = Configuration({"TILE": 32}, warps=4)


def constants(mean: Tensor, dmean: Tensor, dcov: Tensor, shifts: Tensor, rows: int) -> Tensor:
    """V of every column, (G, F) in float64.

    Args:
        mean: of the columns, contiguous, (F,) or (G, F), float32, as is dmean.
        dmean: gradient with respect to the mean.
        dcov: gradient with respect to the covariance, contiguous, (F, F) or (G, F, F).
        shifts: of the channel of each column, (G, F).
        rows: M.
    """
    groups, F = shifts.shape
    v = torch.empty((groups, F), dtype=torch.float64, device=dcov.device)
    grid = (groups, triton.cdiv(F, CONFIGURATION.constants["TILE"]))
    column_constants[grid](mean, dmean, dcov, shifts, v, rows, F, int(dcov.ndim == 2), **CONFIGURATION.options())
    return v


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    signature = {
        **dict.fromkeys(("mean", "dmean", "dcov", "shifts"), "*fp32"),
        "v": "*fp64",
        "rows": "i64",
        "columns": "i32",
        "shared": "i32",
    }
    yield Variant(
        "covariance.adjoint_constants", column_constants, signature, CONFIGURATION, precision="ieee", products=False
    )
