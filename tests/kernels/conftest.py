from collections.abc import Iterator

import pytest
import torch

from ndbench.kernels.runtime import interpreted
from ndbench.verify.interpretation import quickly


@pytest.fixture
def device() -> str:
    """Where kernels run: interpreted on the CPU, or on a GPU."""
    if interpreted():
        return "cpu"
    if torch.cuda.is_available():
        return "cuda"
    pytest.skip("kernels run on a GPU, or with TRITON_INTERPRET=1 set before Python starts")


@pytest.fixture(autouse=True)
def _quick_interpreter(request: pytest.FixtureRequest) -> Iterator[None]:
    """Tests take less than half the time; those of the interpreter itself see it as it is."""
    if not interpreted() or request.module.__name__.endswith(("test_interpretation", "test_dots")):
        yield
        return
    with quickly():
        yield
