"""Where kernels can run, and the errors for where they cannot."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import lru_cache

import torch
from torch import Tensor

FLOATS = (torch.float32, torch.float16, torch.bfloat16)


def interpreted() -> bool:
    """Whether Triton interprets kernels on the CPU: TRITON_INTERPRET=1 was set before they were first used."""
    return os.environ.get("TRITON_INTERPRET", "0") == "1"


def on_amd() -> bool:
    """Whether PyTorch was built for AMD devices."""
    return torch.version.hip is not None


OLDEST = (8, 0)
"""NVIDIA's first compute capability with tf32 and bfloat16; kernels are compiled for nothing older."""


@lru_cache(maxsize=16)
def capable(device: torch.device) -> bool:
    """Whether a GPU is new enough for the kernels."""
    return on_amd() or torch.cuda.get_device_capability(device) >= OLDEST


def mapped(A: Tensor) -> bool:
    """Whether torch.func.vmap hides a dimension of A."""
    return isinstance(A, Tensor) and torch._C._functorch.is_batchedtensor(A)


_shapes_serve: ContextVar[bool] = ContextVar("shapes_serve", default=False)


@contextmanager
def shapes_serving() -> Iterator[None]:
    """Inside the block tensors on the device "meta" are taken: whoever opens it keeps kernels from running."""
    token = _shapes_serve.set(True)
    try:
        yield
    finally:
        _shapes_serve.reset(token)


def require_kernel_input(A: Tensor, name: str) -> None:
    """Raise unless kernels can read A: of a float type they have, as it lies in memory, on a device that runs them."""
    if mapped(A):
        raise RuntimeError(
            f"{name}: Triton kernels do not map over a batch with torch.func.vmap; pass the batch itself, or use "
            "backend='torch'"
        )
    if A.dtype not in FLOATS:
        raise TypeError(
            f"{name}: Triton kernels take float32, float16 or bfloat16; got {A.dtype}; convert it, or use "
            "backend='torch'"
        )
    if obstacle := unreadable(A):
        raise TypeError(f"{name}: {obstacle}")
    if A.device.type == "cpu" and not interpreted():
        raise ValueError(
            f"{name}: Triton kernels run on a GPU; got a tensor on the CPU; move it, use backend='torch', or set "
            "TRITON_INTERPRET=1 before Python starts to have them interpreted"
        )
    if A.device.type not in ("cpu", "cuda") and not (A.is_meta and _shapes_serve.get()):
        raise ValueError(f"{name}: Triton kernels run on a GPU; got a tensor on {A.device}")
    if A.device.type == "cuda" and not interpreted() and not capable(A.device):
        raise ValueError(
            f"{name}: Triton kernels need a GPU of compute capability {OLDEST[0]}.{OLDEST[1]} or newer; {A.device} is "
            "older; use backend='torch'"
        )
    if A.dtype == torch.bfloat16 and interpreted():
        raise NotImplementedError(f"{name}: Triton's interpreter computes bfloat16 wrongly; use float32 or a GPU")


def unreadable(A: Tensor) -> str:
    """Why what lies in A's memory, at its strides, is not its values; empty if it is."""
    if A.layout != torch.strided:
        return f"Triton kernels read dense tensors; got layout {A.layout}; call to_dense() first"
    if A.is_neg():
        return (
            "Triton kernels read memory as it is, and this is a view of numbers that PyTorch negates when they are "
            "read, as conj().imag gives; call resolve_neg() first"
        )
    return ""


def capturing(device: torch.device) -> bool:
    """Whether a CUDA graph is being captured on the device's current stream."""
    return device.type == "cuda" and torch.cuda.is_current_stream_capturing()


def wait_for(device: torch.device) -> None:
    """Return when everything that was launched on the device is over."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def launched_on(A: Tensor) -> AbstractContextManager[None]:
    """A block whose launches go to A's device, whichever is current: Triton asks for the current one."""
    device: AbstractContextManager[None] = torch.cuda.device_of(A)  # type: ignore[no-untyped-call]
    return device


LARGE = 132
"""Multiprocessors of an H200."""


@lru_cache(maxsize=16)
def multiprocessors(device: torch.device) -> int:
    """How many of them the device has: 1 where kernels are interpreted, and `LARGE` for shapes alone."""
    if device.type == "meta":
        return LARGE
    if device.type != "cuda":
        return 1
    return torch.cuda.get_device_properties(device).multi_processor_count
