"""The direct methods: spectral, and SciPy's."""

import sys

import pytest
import torch

from ndbench import roots
from tests.roots.spd import FIVE_FOUR, FIVE_FOUR_ROOT, batch, whitening_residual

DIRECT = [roots.spectral, roots.scipy_sqrtm, roots.scipy_power]


@pytest.mark.parametrize("root", DIRECT)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_worked_example_in_every_type(root, dtype):
    X = root(FIVE_FOUR.to(dtype))
    assert X.dtype == dtype
    torch.testing.assert_close(X.double(), FIVE_FOUR_ROOT, rtol=0, atol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("root", DIRECT)
def test_whitens_batches_of_any_shape(root):
    A = batch(12, 1e3, shape=(2, 3))
    assert whitening_residual(root(A), A) < 1e-10
    assert root(A[:0]).shape == (0, 3, 12, 12)


@pytest.mark.parametrize("root", DIRECT)
def test_a_negative_eigenvalue_gives_nan_in_that_matrix_alone(root):
    A = torch.stack([FIVE_FOUR, torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))])
    X = root(A)
    torch.testing.assert_close(X[0], FIVE_FOUR_ROOT)
    assert X[1].isnan().all()


@pytest.mark.parametrize("root", [roots.scipy_sqrtm, roots.scipy_power])
def test_without_scipy_its_methods_say_what_to_do(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.linalg", None)
    expected = f"method '{root.__name__}' needs SciPy, which is not installed; use method='spectral'"
    with pytest.raises(ImportError, match=expected):
        root(FIVE_FOUR)
