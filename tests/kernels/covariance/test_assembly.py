import pytest
import torch

from ndbench.kernels.covariance.im2col_assembly import LINES, assemble_columns, configuration
from ndbench.kernels.covariance.im2col_products import tile_of

F, ROWS = 65024, 7
"""1016 tiles of 64, the sums of whose pairs are 2^31 numbers and more."""


@pytest.fixture
def sparse(tmp_path):
    """Zeros of which only those written take memory."""
    path = tmp_path / "zeros"
    yield lambda size, dtype: torch.from_file(str(path), shared=True, size=size, dtype=dtype)
    path.unlink()


def test_sums_beyond_2_31_numbers(device, sparse):
    if device == "cuda":
        pytest.skip("the sums take 17 GB of a GPU, and of a file that is sparse next to nothing")
    tile = tile_of(F)
    count, record = F // tile, tile * tile + tile
    pairs = count * (count + 1) // 2
    assert pairs * record > 2**31
    totals = sparse(pairs * record, torch.float64).view(pairs, record)
    generator = torch.Generator().manual_seed(0)
    sums, products = (
        torch.randint(-8, 9, (tile,), generator=generator),
        torch.randint(-8, 9, (tile, tile), generator=generator),
    )
    totals[0, : tile * tile] = (products + products.T).flatten()
    totals[-1, tile * tile :] = sums
    # one launch of the last pair of tiles, whose columns come first in the covariance
    output = torch.where(torch.arange(F) >= F - tile, torch.arange(F) - (F - tile), -1).int()
    last = torch.tensor([[count - 1, count - 1]], dtype=torch.int32)
    mean, cov = torch.empty(F), torch.empty((tile, F))
    assemble_columns[(1, tile // LINES)](
        totals, torch.ones(F), output, last, mean, cov, F, 1, ROWS, **configuration(tile).options()
    )
    ybar = sums.double() / ROWS
    torch.testing.assert_close(mean[:tile].double(), 1 + ybar, rtol=2**-23, atol=0)
    wanted = (products + products.T).double() / ROWS - ybar[:, None] * ybar
    torch.testing.assert_close(cov[:, :tile].double(), wanted, rtol=2**-23, atol=2**-23)
