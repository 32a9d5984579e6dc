import importlib.util
import os
from pathlib import Path

import pytest
import torch

# cuBLAS, which deterministic algorithms refuse on a GPU without it; read when CUDA is first used
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")

# the problems of the tests are too small for two threads, which would wait for each other
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def noxfile():
    """The module, loaded once: nox warns of a session that it knows already."""
    spec = importlib.util.spec_from_file_location("noxfile", Path(__file__).parents[1] / "noxfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def nan_filled_empty_tensors():
    """`torch.empty` hands out NaN, so that an entry nobody wrote shows."""
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    yield
    torch.use_deterministic_algorithms(False)
