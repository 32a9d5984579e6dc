"""Which backend serves a request, and the errors of those that none can serve."""

import re

import pytest
import torch

from ndbench import inverse_sqrt
from ndbench.kernels import runtime
from ndbench.kernels.runtime import capable, require_kernel_input
from ndbench.operations import backends
from ndbench.operations.backends import choose_backend, require_backend, require_no_precision

A = torch.eye(2)


class OnGpu:
    """As much of a tensor as the choice looks at."""

    device = torch.device("cuda")
    layout = torch.strided

    def is_neg(self):
        return False

    def __init__(self, dtype=torch.float32):
        self.dtype = dtype


def without_triton(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)


def test_the_cpu_is_served_by_torch():
    assert choose_backend("auto", A, "f", "") == "torch"
    assert choose_backend("torch", A, "f", "") == "torch"


def of_capability(monkeypatch, *version):
    """Every GPU is of this compute capability."""
    capable.cache_clear()
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: version)


@pytest.fixture(autouse=True)
def forget_devices():
    yield
    capable.cache_clear()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_gpu_is_served_by_kernels(dtype, monkeypatch):
    of_capability(monkeypatch, 8, 0)
    assert choose_backend("auto", OnGpu(dtype), "f", "") == "triton"
    assert choose_backend("torch", OnGpu(dtype), "f", "") == "torch"


@pytest.mark.parametrize(("x", "obstacle"), [(OnGpu(torch.float64), ""), (OnGpu(), "there is no kernel")])
def test_auto_takes_torch_for_what_kernels_do_not_have(x, obstacle):
    assert choose_backend("auto", x, "f", obstacle) == "torch"


def test_auto_takes_torch_on_a_gpu_older_than_the_kernels(monkeypatch):
    of_capability(monkeypatch, 7, 5)
    assert choose_backend("auto", OnGpu(), "f", "") == "torch"


def test_kernels_refuse_a_gpu_older_than_they_are(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    of_capability(monkeypatch, 7, 5)
    monkeypatch.setattr(runtime, "mapped", lambda A: False)
    with pytest.raises(ValueError, match=r"^f: Triton kernels need a GPU of compute capability 8\.0 or newer; cuda is"):
        require_kernel_input(OnGpu(), "f")
    of_capability(monkeypatch, 9, 0)
    require_kernel_input(OnGpu(), "f")


def test_auto_takes_torch_without_triton(monkeypatch):
    without_triton(monkeypatch)
    assert choose_backend("auto", OnGpu(), "f", "") == "torch"


def test_a_request_for_kernels_is_never_served_by_torch(monkeypatch):
    assert choose_backend("triton", A, "f", "") == "triton"
    with pytest.raises(NotImplementedError, match=r"^f: there is no kernel; use backend='torch'$"):
        choose_backend("triton", OnGpu(), "f", "there is no kernel")
    without_triton(monkeypatch)
    with pytest.raises(ImportError, match=r"^f: backend='triton' needs Triton, which is not installed; use backend="):
        choose_backend("triton", OnGpu(), "f", "")


def test_backends_that_do_not_exist():
    for refuse in (require_backend, lambda backend, name: choose_backend(backend, A, name, "")):
        with pytest.raises(ValueError, match=r"^f: backend must be one of auto, torch, triton; got 'cuda'$"):
            refuse("cuda", "f")


def test_precision_is_of_kernels():
    require_no_precision(None, "f")
    message = (
        "inverse_sqrt: precision='tf32' chooses the products of Triton kernels, and PyTorch serves this call; its "
        "products follow torch.set_float32_matmul_precision"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        inverse_sqrt(A, precision="tf32")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_kernels_need_a_gpu_or_the_interpreter(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    with pytest.raises(
        ValueError, match=r"^inverse_sqrt: Triton kernels run on a GPU; got a tensor on the CPU; move it"
    ):
        inverse_sqrt(A, backend="triton")


@pytest.mark.parametrize("precision", ["tf16", ""])
def test_precisions_that_do_not_exist(precision, monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(ValueError, match=r"^inverse_sqrt: precision must be one of ieee, tf32x3, tf32; got "):
        inverse_sqrt(A, backend="triton", precision=precision or "none")


def test_types_that_kernels_do_not_have(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(TypeError, match=r"^inverse_sqrt: Triton kernels take float32, float16 or bfloat16; got "):
        inverse_sqrt(A.double(), backend="triton")
    with pytest.raises(NotImplementedError, match="interpreter computes bfloat16 wrongly"):
        inverse_sqrt(A.bfloat16(), backend="triton")
    with pytest.raises(ValueError, match="precision 'tf32' is of float32 products"):
        inverse_sqrt(A.half(), backend="triton", precision="tf32")


def test_kernels_do_not_map(monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    with pytest.raises(
        RuntimeError, match=r"^inverse_sqrt: Triton kernels do not map over a batch with torch.func.vmap"
    ):
        torch.func.vmap(lambda A: inverse_sqrt(A, backend="triton", check=False))(A.expand(3, 2, 2))
