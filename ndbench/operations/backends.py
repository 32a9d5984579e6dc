"""The choice of backend, made aloud."""

from importlib.util import find_spec

import torch
from torch import Tensor

from ndbench.kernels.runtime import capable, mapped, unreadable

BACKENDS = ("auto", "torch", "triton")
KERNEL_TYPES = (torch.float32, torch.float16, torch.bfloat16)


def require_backend(backend: str, name: str) -> None:
    """Raise for a backend that does not exist."""
    if backend not in BACKENDS:
        raise ValueError(f"{name}: backend must be one of {', '.join(BACKENDS)}; got {backend!r}")


def choose_backend(backend: str, A: Tensor, name: str, obstacle: str) -> str:
    """Torch or Triton; a request for "triton" never falls back.

    "auto" is "triton" for float32, float16 and bfloat16 on a GPU, of NVIDIA's from compute capability 8.0 on, where
    Triton is installed and nothing stands in the way, and "torch" everywhere else: under torch.func.vmap too, and for
    views that are negated when they are read.

    Args:
        backend: what was asked for.
        A: the input.
        name: of the public function.
        obstacle: why the kernels cannot serve the other arguments; empty if they can.

    Raises:
        ValueError: for an unknown backend.
        NotImplementedError: for "triton" with an obstacle.
        ImportError: for "triton" where it is not installed.
    """
    require_backend(backend, name)
    if backend == "auto":
        served = A.device.type == "cuda" and A.dtype in KERNEL_TYPES and not obstacle
        served = served and not mapped(A) and not unreadable(A)
        return "triton" if served and find_spec("triton") and capable(A.device) else "torch"
    if backend == "triton" and obstacle:
        raise NotImplementedError(f"{name}: {obstacle}; use backend='torch'")
    if backend == "triton" and not find_spec("triton"):
        raise ImportError(f"{name}: backend='triton' needs Triton, which is not installed; use backend='torch'")
    return backend


def require_no_precision(precision: str | None, name: str) -> None:
    """Raise for a precision that only kernels have."""
    if precision is not None:
        raise ValueError(
            f"{name}: precision={precision!r} chooses the products of Triton kernels, and PyTorch serves this call; "
            "its products follow torch.set_float32_matmul_precision"
        )
