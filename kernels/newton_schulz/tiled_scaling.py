"""Large matrices scaled to unit Frobenius norm: sums of squares in fixed order, then tiles of a symmetric buffer."""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.newton_schulz.symmetric import (
    entries,
    lower_tile,
    reciprocal,
    store_mirrored,
    symmetric_entries,
)
from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import TRITON_TYPES, Configuration, Variant

PARTS = 64
"""At most so many programs add up one matrix."""

STRIP = {"PARTS": PARTS, "ROWS": 16, "COLUMNS": 128}
"""A program adds up strips of so many rows, so many columns at a time."""

TILE = {"PARTS": PARTS, "BLOCK": 32}


@triton.jit
def total(partial, matrix, parts, PARTS: tl.constexpr):
    """The sum of one matrix's parts, in a fixed order."""
    part = tl.arange(0, PARTS)
    return tl.sum(tl.load(partial + matrix * parts + part, mask=part < parts, other=0), axis=0)


@specialized_on()
def add_squares(
    A,
    partial,
    parts,
    n,
    stride_batch: tl.int64,
    stride_row: tl.int64,
    stride_column: tl.int64,
    PARTS: tl.constexpr,
    ROWS: tl.constexpr,
    COLUMNS: tl.constexpr,
):
    """The sum of squares of every `parts`-th strip of rows, in float64, which holds every square of a float32.

    partial is (batch, parts).
    """
    # 64-bit: batch * n * n and strides may pass 2**31
    matrix = tl.program_id(1).to(tl.int64)
    squares = tl.zeros((ROWS, COLUMNS), dtype=tl.float64)
    for first_row in range(tl.program_id(0) * ROWS, n, parts * ROWS):
        for first_column in range(0, n, COLUMNS):
            rows = first_row + tl.arange(0, ROWS)[:, None]
            columns = first_column + tl.arange(0, COLUMNS)[None, :]
            x = entries(A + matrix * stride_batch, rows, columns, n, stride_row, stride_column)
            squares += x * x
    tl.store(partial + matrix * parts + tl.program_id(0), tl.sum(tl.sum(squares, axis=1), axis=0))


@specialized_on("ld")
def scale_tiles(
    A,
    partial,
    scratch,
    parts,
    buffers,
    number,
    n,
    ld: tl.int64,
    stride_batch: tl.int64,
    stride_row: tl.int64,
    stride_column: tl.int64,
    PARTS: tl.constexpr,
    BLOCK: tl.constexpr,
):
    """Buffer `number` <- (A + A^T) / (2 ||A||_F); scratch is (batch, buffers, ld, ld)."""
    matrix = tl.program_id(1).to(tl.int64)
    row, column = lower_tile(tl.program_id(0))
    rows = row * BLOCK + tl.arange(0, BLOCK)[:, None]
    columns = column * BLOCK + tl.arange(0, BLOCK)[None, :]
    scale = reciprocal(tl.sqrt(total(partial, matrix, parts, PARTS)))
    M = symmetric_entries(A + matrix * stride_batch, rows, columns, n, stride_row, stride_column) * scale
    home = tl.multiple_of(scratch + (matrix * buffers + number) * ld * ld, 16)
    store_mirrored(home, M.to(tl.float32), rows, columns, ld, 1)


def squares(A: Tensor) -> Tensor:
    """Parts of ||A||_F^2 of each matrix, (batch, parts), float64."""
    batch, n = A.shape[0], A.shape[-1]
    parts = min(PARTS, triton.cdiv(n, STRIP["ROWS"]))
    partial = torch.empty((batch, parts), dtype=torch.float64, device=A.device)
    add_squares[(parts, batch)](A, partial, parts, n, *A.stride(), **Configuration(STRIP, warps=4).options())
    return partial


def scaled_into(scratch: Tensor, number: int, A: Tensor, partial: Tensor) -> None:
    """Buffer `number` of every matrix <- sym(A) / ||A||_F; partial is that of `squares`."""
    batch, buffers, ld, _ = scratch.shape
    tiles = ld // TILE["BLOCK"]
    sizes = partial.shape[1], buffers, number, A.shape[-1], ld
    scale_tiles[(tiles * (tiles + 1) // 2, batch)](
        A, partial, scratch, *sizes, *A.stride(), **Configuration(TILE, warps=4).options()
    )


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    strides = dict.fromkeys(("stride_batch", "stride_row", "stride_column"), "i64")
    for dtype in (torch.float32, torch.float16, torch.bfloat16):
        element = TRITON_TYPES[dtype]
        yield Variant(
            name=f"newton_schulz.tiled_scaling/squares/{element}",
            kernel=add_squares,
            signature={"A": f"*{element}", "partial": "*fp64", "parts": "i32", "n": "i32", **strides},
            configuration=Configuration(STRIP, warps=4),
            precision="ieee",
            products=False,
        )
        yield Variant(
            name=f"newton_schulz.tiled_scaling/tiles/{element}",
            kernel=scale_tiles,
            signature={
                "A": f"*{element}",
                "partial": "*fp64",
                "scratch": "*fp32",
                **dict.fromkeys(("parts", "buffers", "number", "n"), "i32"),
                "ld": "i64",
                **strides,
            },
            configuration=Configuration(TILE, warps=4),
            precision="ieee",
            products=False,
            divisible=("ld",),
        )
