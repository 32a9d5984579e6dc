"""Tiles of symmetric matrices: read and scaled, multiplied phase by phase, written together with their mirror image.

Rows are (BLOCK, 1), columns (1, BLOCK). Buffers are float32, of ld rows and columns, zero beyond order n, so that
loops over them need no masks.
"""

import triton
import triton.language as tl

from ndbench.kernels.newton_schulz.schedule import FACTORS, OPERANDS
from ndbench.kernels.product import add_product

OPERAND_COLUMNS, FACTOR_COLUMNS = tl.constexpr(OPERANDS), tl.constexpr(FACTORS)


@triton.jit
def lower_tile(index):
    """Row and column of tile `index` of a lower triangle counted row by row: 0, 0; 1, 0; 1, 1; 2, 0; ..."""
    row = ((tl.sqrt(8.0 * index + 1.0) - 1.0) / 2.0).to(tl.int32)
    # the root may be off by rounding
    row = tl.where(row * (row + 1) // 2 > index, row - 1, row)
    row = tl.where((row + 1) * (row + 2) // 2 <= index, row + 1, row)
    return row, index - row * (row + 1) // 2


@triton.jit
def entries(A, rows, columns, n, stride_row, stride_column):
    """A's entries in float64, zero beyond order n."""
    # 64-bit: a row times its stride passes 2**31 in views of large tensors
    offsets = rows.to(tl.int64) * stride_row + columns.to(tl.int64) * stride_column
    return tl.load(A + offsets, mask=(rows < n) & (columns < n), other=0).to(tl.float64)


@triton.jit
def symmetric_entries(A, rows, columns, n, stride_row, stride_column):
    """Those of (A + A^T) / 2."""
    mirrored = entries(A, columns, rows, n, stride_row, stride_column)
    return (entries(A, rows, columns, n, stride_row, stride_column) + mirrored) * 0.5


@triton.jit
def reciprocal(norm):
    """1 / norm, and 1 for a norm of zero, so that zero stays zero."""
    return 1.0 / tl.where(norm == 0.0, 1.0, norm)


@triton.jit
def store_mirrored(home, tile, rows, columns, ld, symmetric):
    """Write the tile's lower triangle, which off the diagonal is all of it, and the same transposed.

    A tile that is not symmetric, of a matrix of one tile, is written as it is.
    """
    lower = rows >= columns
    tl.store(home + rows * ld + columns, tile, mask=lower | (symmetric == 0))
    tl.store(home + columns * ld + rows, tile, mask=lower & (symmetric != 0))


@triton.jit
def buffer(home, index, size):
    """Where a buffer begins: at a multiple of 16 bytes, which the compiler forgets of sums unless it is told."""
    return tl.multiple_of(home + index * size, 16)


@triton.jit
def phase_tile(
    home,
    operands,
    factors,
    phase,
    row,
    column,
    n,
    ld,
    size,
    BLOCK: tl.constexpr,
    BLOCK_K: tl.constexpr,
    WHOLE: tl.constexpr,
    OPERAND: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """One tile of a `Phase`, stored; the buffers, each of `size`, begin at home."""
    operand = operands + phase * OPERAND_COLUMNS
    factor = factors + phase * FACTOR_COLUMNS
    across = tl.arange(0, BLOCK_K)[None, :]
    left_rows = (row * BLOCK + tl.arange(0, BLOCK)[:, None]) * ld + across
    right_rows = (column * BLOCK + tl.arange(0, BLOCK)[:, None]) * ld + across
    S = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    for term in range(tl.load(operand + 3)):
        L = buffer(home, tl.load(operand + 4 + 2 * term), size) + left_rows
        R = buffer(home, tl.load(operand + 5 + 2 * term), size) + right_rows
        for k in range(0, n, BLOCK_K):
            # R is symmetric: its rows are the columns wanted
            S = add_product(S, tl.load(L + k), tl.trans(tl.load(R + k)), OPERAND, PRECISION)
    rows = row * BLOCK + tl.arange(0, BLOCK)[:, None]
    columns = column * BLOCK + tl.arange(0, BLOCK)[None, :]
    ADD = buffer(home, tl.load(operand + 1), size)
    add = tl.load(ADD + rows * ld + columns)
    eye = tl.where((rows == columns) & (rows < n), 1.0, 0.0)
    result = tl.load(factor) * eye + tl.load(factor + 1) * add + tl.load(factor + 2) * S
    symmetric = 1
    if WHOLE:
        symmetric = tl.load(operand + 2)
        flipped = tl.load(factor + 4)
        if flipped != 0.0:
            result += tl.load(factor + 3) * tl.load(ADD + columns * ld + rows) + flipped * tl.trans(S)
    store_mirrored(buffer(home, tl.load(operand), size), result, rows, columns, ld, symmetric)
