import torch
import triton
import triton.language as tl

from ndbench.kernels.denman_beavers.tiles import lower_tile, padded_order, tiles


@triton.jit
def every_lower_tile(OUT, count, COUNT: tl.constexpr):
    position = tl.arange(0, COUNT)
    row, column = lower_tile(position)
    tl.store(OUT + 2 * position, row, mask=position < count)
    tl.store(OUT + 2 * position + 1, column, mask=position < count)


def test_lower_tiles_are_counted_by_rows(device):
    # 72 tiles of 32 across: order 2304
    count = tiles(2304, 32)
    found = torch.empty((count, 2), dtype=torch.int32, device=device)
    every_lower_tile[(1,)](found, count, COUNT=4096)
    assert found.tolist() == [[row, column] for row in range(72) for column in range(row + 1)]


def test_padded_orders():
    assert [padded_order(n) for n in (1, 16, 17, 32, 33, 64, 65, 147, 576)] == [16, 16, 32, 32, 64, 64, 96, 160, 576]
