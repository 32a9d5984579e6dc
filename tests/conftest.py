import os

import pytest
import torch

# cuBLAS, which deterministic algorithms refuse on a GPU without it; read when CUDA is first used
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

# the problems of the tests are too small for two threads, which would wait for each other
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def nan_filled_empty_tensors():
    """`torch.empty` hands out NaN, so that an entry nobody wrote shows."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
