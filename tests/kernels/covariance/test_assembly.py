import pytest
import torch

from ndbench.kernels.covariance.im2col_assembly import LINES, assemble_columns, configuration
from ndbench.kernels.covariance.im2col_products import tile_of
from ndbench.kernels.covariance.triangle import products_of, record_of

F, ROWS = 65600, 7
"""1025 tiles of 64, whose upper triangle has 2^31 numbers and more."""


@pytest.fixture
def sparse(tmp_path):
    """Zeros of which only those written take memory."""
    path = tmp_path / "zeros"
    yield lambda size, dtype: torch.from_file(str(path), shared=True, size=size, dtype=dtype)
    path.unlink()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_sums_beyond_2_31_numbers(device, sparse, dtype):
    if device == "cuda":
        pytest.skip("the sums take 17 GB of a GPU, and of a file that is sparse next to nothing")
    tile = tile_of(F)
    count, record, sums_at = F // tile, record_of(F), products_of(F)
    assert sums_at - products_of(tile) > 2**31
    part = sparse(record, dtype)
    generator = torch.Generator().manual_seed(0)
    sums, products = (
        torch.randint(-8, 9, (tile,), generator=generator),
        torch.randint(-8, 9, (tile, tile), generator=generator),
    )
    symmetric = products + products.T
    part[sums_at - products_of(tile) : sums_at] = symmetric[*torch.triu_indices(tile, tile)]
    part[sums_at + F - tile : sums_at + F] = sums
    # one launch of the last pair of tiles, whose columns come first in the covariance
    output = torch.where(torch.arange(F) >= F - tile, torch.arange(F) - (F - tile), -1).int()
    last = torch.tensor([[count - 1, count - 1]], dtype=torch.int32)
    mean, cov = torch.empty(F), torch.empty((tile, F))
    sizes = F, 1, 1, record, sums_at, ROWS
    assemble_columns[(1, tile // LINES)](
        part, torch.ones(F), output, last, mean, cov, *sizes, **configuration(tile).options()
    )
    ybar = sums.double() / ROWS
    torch.testing.assert_close(mean[:tile].double(), 1 + ybar, rtol=2**-23, atol=0)
    wanted = symmetric.double() / ROWS - ybar[:, None] * ybar
    torch.testing.assert_close(cov[:, :tile].double(), wanted, rtol=2**-23, atol=2**-23)
