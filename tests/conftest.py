import pytest
import torch


@pytest.fixture(autouse=True)
def nan_filled_empty_tensors():
    """`torch.empty` hands out NaN, so that an entry nobody wrote shows."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
