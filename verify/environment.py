"""Where a report comes from: versions, machine, and the settings that change results."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

PACKAGES = ("ndbench", "torch", "triton", "numpy", "scipy", "mpmath", "python-flint", "scikit-image", "scikit-learn")


def environment() -> dict[str, Any]:
    """Versions of everything that computes, the devices, and PyTorch's precision settings."""
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "packages": {package: _version(package) for package in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "cuda": torch.version.cuda or "none",
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
    }


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
