"""Partial sums: how many there are, what memory they may take, and their sum in a fixed order.

A kernel of products gives every program sums of its own. How many there are for each item depends on shapes only, so
that equal inputs give equal bits on any device. Few of them are added up where they are read; of many, `total` makes
one sum in float64 first.
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
SHARE = 10
"""Beside what they return, kernels hold 1/10 of the input's memory and as much as the mean and covariance take, or
4 MiB."""
LEAST = 2**22
LONGEST = 256
"""Chunks that one program adds up where memory allows: its sums of chunks round as often."""
UTMOST = 16 * LONGEST
"""Chunks that one program adds up at most: where many pixels are equal they were seen to lose 0.4 u each, and a budget
(`ndbench.verify.covariance_budgets.summation`) has eight times as much for as many rows."""

MOST = 65_535
"""Partial sums of an item: the second dimension of a grid ends there. `UTMOST` chunks each are 2^38 rows."""

DIRECT = 4
"""Partial sums that are added up where they are read: more are slower, and take so little memory that their sums in
float64 can be afforded."""


def room(input_bytes: int, output_bytes: int) -> int:
    """Bytes that a call may hold beside x and what it returns; the output is the mean and covariance in float32."""
    return max(input_bytes // SHARE + output_bytes, LEAST)


def splits(items: int, chunks: int, affordable: int) -> int:
    """Into how many partial sums the chunks of every item are divided.

    As many as keep a GPU busy, and as have no more than `LONGEST` chunks each. What is affordable comes first, so
    that large covariances of small inputs are computed by fewer and longer programs; but they have many items, which
    are programs too: a covariance of 64 channels and kernels of 7 has 1225 of them.

    Args:
        items: sums to be computed.
        chunks: parts of each that cannot be divided.
        affordable: partial sums of every item that there is memory for.
    """
    wanted = max(-(-PROGRAMS // items), -(-chunks // LONGEST))
    return max(1, min(chunks, max(-(-chunks // UTMOST), min(wanted, affordable, MOST))))


@specialized_on("record")
def add_partials(partials, totals, first, pieces, slots, record: tl.int64, BLOCK: tl.constexpr, SLOTS: tl.constexpr):
    """Add partials (planes, slots, record) from the slot first[piece] to first[piece + 1] into totals."""
    blocks = tl.cdiv(record, BLOCK)
    # one dimension: CUDA's second one ends at 65535, and a record may have more blocks
    item = tl.program_id(0) // blocks
    plane, piece = item // pieces, item % pieces
    entry = tl.program_id(0) % blocks * BLOCK + tl.arange(0, BLOCK)
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
        partials: in float32, with records of a multiple of 16 numbers.
        first: the first slot of every piece, and the number of slots, (pieces + 1,) in int32.
    """
    planes, slots, record = partials.shape
    pieces = len(first) - 1
    totals = torch.empty((planes, pieces, record), dtype=torch.float64, device=partials.device)
    blocks = triton.cdiv(record, CONFIGURATION.constants["BLOCK"])
    if totals.numel():
        add_partials[(planes * pieces * blocks,)](
            partials, totals, first, pieces, slots, record, **CONFIGURATION.options()
        )
    return totals


def variants() -> Iterator[Variant]:
    """Every configuration that may be launched."""
    signature = {
        "partials": "*fp32",
        "totals": "*fp64",
        "first": "*i32",
        **dict.fromkeys(("pieces", "slots"), "i32"),
        "record": "i64",
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
