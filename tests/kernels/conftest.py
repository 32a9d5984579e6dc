import pytest
import torch

from ndbench.kernels.runtime import interpreted


@pytest.fixture
def device() -> str:
    """Where kernels run: interpreted on the CPU, or on a GPU."""
    if interpreted():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    pytest.skip("kernels run on a GPU, or with TRITON_INTERPRET=1 set before Python starts")
