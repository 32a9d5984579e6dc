"""Where a report comes from: versions, machine, and the settings that change results."""

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
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
        "commit": commit(),
    }


def commit() -> str:
    """The commit of the checkout, with a + if files were changed since; "unknown" outside of one."""
    revision = _git("rev-parse", "HEAD")
    if not revision:
        return "unknown"
    return revision + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    try:
        found = subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
