"""R = V V^T of an upper triangular V on tiles, and with it the next M = I / 2 + mu^2 M / 4 + R / 4.

V is L^-T / mu, L the Cholesky factor of M, so that R = mu^-2 M^-1. It was computed in float64 and is rounded here once:
the error of R is then that of rounding it, where a float32 factor would lose kappa times as much.
"""

from collections.abc import Iterator

import triton.language as tl
from torch import Tensor

from ndbench.kernels.denman_beavers.tiles import (
    configuration,
    configurations,
    lower_tile,
    store_symmetric,
    sum_over_k,
    tiles,
)
from ndbench.kernels.precision import PRECISIONS
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Variant


@specialized_on("P")
def inverse_and_next(
    V,
    M,
    scales,
    R,
    NEXT,
    n,
    P,
    BLOCK: tl.constexpr,
    DEPTH: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """A tile of the lower triangle a program, all of one matrix together; its mirror image is written too."""
    across = tl.cdiv(P, BLOCK)
    count = across * (across + 1) // 2
    tile_row, tile_column = lower_tile(tl.program_id(0) % count)
    matrix = tl.program_id(0) // count
    # 64-bit: matrices * P * P may pass 2**31
    offset = matrix * P.to(tl.int64) * P
    V, M = tl.multiple_of(V + offset, 16), tl.multiple_of(M + offset, 16)
    R, NEXT = tl.multiple_of(R + offset, 16), tl.multiple_of(NEXT + offset, 16)
    rows = tile_row * BLOCK + tl.arange(0, BLOCK)
    columns = tile_column * BLOCK + tl.arange(0, BLOCK)
    # rows of V begin at the diagonal
    first = tile_row * BLOCK
    inverse = sum_over_k(V, V, rows, columns, first, P, DEPTH, PRECISION)
    within = (rows < P)[:, None] & (columns < P)[None, :]
    before = tl.load(M + rows[:, None] * P + columns[None, :], mask=within, other=0)
    eye = tl.where((rows[:, None] == columns[None, :]) & (rows < n)[:, None], 1.0, 0.0)
    mu = tl.load(scales + matrix)
    store_symmetric(R, inverse, rows, columns, P)
    store_symmetric(NEXT, 0.5 * eye + 0.25 * (mu * mu * before + inverse), rows, columns, P)


def run(V: Tensor, M: Tensor, scales: Tensor, R: Tensor, NEXT: Tensor, n: int, precision: str) -> None:
    """R and NEXT from contiguous float32 matrices of order n, (batch, P, P), and mu, (batch,)."""
    batch, P = M.shape[:2]
    chosen = configuration(batch, P, PRECISION=precision)
    grid = (batch * tiles(P, chosen.constants["BLOCK"]),)
    inverse_and_next[grid](V, M, scales, R, NEXT, n, P, **chosen.options())


def variants() -> Iterator[Variant]:
    """Every configuration that `run` may launch."""
    signature = {**dict.fromkeys(("V", "M", "scales", "R", "NEXT"), "*fp32"), "n": "i32", "P": "i32"}
    for precision in PRECISIONS:
        for chosen in configurations(PRECISION=precision):
            yield Variant(
                name=f"denman_beavers.inverse_product/{chosen.constants['BLOCK']}/{precision}",
                kernel=inverse_and_next,
                signature=signature,
                configuration=chosen,
                precision=precision,
                divisible=("P",),
                vendors=("nvidia", "amd") if precision == "ieee" else ("nvidia",),
            )
