"""Partial sums: how many there are, and their sum in a fixed order.

A kernel of products gives every program a record of its own: a tile of products, and sums of the channels of its rows
(and columns). The records of one item lie side by side, and `total` adds them in float64. How many there are
depends on shapes only, so that equal inputs give equal bits on any device.
"""

from collections.abc import Iterator

import torch
import triton
import triton.language as tl
from torch import Tensor

from ndbench.kernels.specialization import specialized_on
from ndbench.kernels.variant import Configuration, Variant

PROGRAMS = 1024
"""Programs that keep a large GPU busy."""
SHARE = 20
"""Partial sums take at most 1/20 of the input's memory, or 4 MiB."""
LEAST = 2**22
LONGEST = 256
"""Chunks that one program adds up: its sums of chunks round as often."""


def splits(items: int, chunks: int, record: int, input_bytes: int) -> int:
    """Into how many partial sums the chunks of every item are divided.

    Args:
        items: sums to be computed, of one record each.
        chunks: parts of each that cannot be divided.
        record: float32 numbers of a partial sum.
        input_bytes: memory of the input.
    """
    affordable = max(input_bytes // SHARE, LEAST) // (4 * record * items)
    wanted = -(-PROGRAMS // items)
    fewest = -(-chunks // LONGEST)
    return max(1, min(chunks, max(fewest, min(wanted, affordable))))


@specialized_on("record")
def add_partials(partials, totals, first, pieces, slots, record, BLOCK: tl.constexpr, SLOTS: tl.constexpr):
    """Add partials (planes, slots, record) from the slot first[piece] to first[piece + 1] into totals."""
    item = tl.program_id(0).to(tl.int64)
    plane, piece = item // pieces, item % pieces
    entry = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    start, stop = tl.load(first + piece), tl.load(first + piece + 1)
    total = tl.zeros((BLOCK,), tl.float64)
    for begin in range(start, stop, SLOTS):
        slot = begin + tl.arange(0, SLOTS)
        at = tl.multiple_of(partials + (plane * slots + slot) * record, 16)[:, None] + entry[None, :]
        part = tl.load(at, mask=(slot < stop)[:, None] & (entry < record)[None, :], other=0)
        total += tl.sum(part.to(tl.float64), axis=0)
    tl.store(tl.multiple_of(totals + item * record, 16) + entry, total, mask=entry < record)


CONFIGURATION = Configuration({"BLOCK": 512, "SLOTS": 8}, warps=4)


def total(partials: Tensor, first: Tensor) -> Tensor:
    """The sums (planes, pieces, record) in float64 of partial sums (planes, slots, record).

    Args:
        partials: in float32.
        first: the first slot of every piece, and the number of slots, (pieces + 1,) in int32.
    """
    planes, slots, record = partials.shape
    pieces = len(first) - 1
    totals = torch.empty((planes, pieces, record), dtype=torch.float64, device=partials.device)
    grid = (planes * pieces, triton.cdiv(record, CONFIGURATION.constants["BLOCK"]))
    if totals.numel():
        add_partials[grid](partials, totals, first, pieces, slots, record, **CONFIGURATION.options())
    return totals


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    signature = {
        "partials": "*fp32",
        "totals": "*fp64",
        "first": "*i32",
        **dict.fromkeys(("pieces", "slots", "record"), "i32"),
    }
    yield Variant(
        "covariance.partials",
        add_partials,
        signature,
        CONFIGURATION,
        precision="ieee",
        products=False,
        divisible=("record",),
    )
