"""Where figures come from: versions, machine, and the settings that change results."""

import os
import platform
import re
import subprocess
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

PACKAGES = ("ndbench", "torch", "triton", "numpy", "scipy", "mpmath", "python-flint", "scikit-image", "scikit-learn")
ALLOCATORS = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD", "PYTORCH_")
"""Beginnings of the environment variables that choose how memory is handed out."""


def environment() -> dict[str, Any]:
    """Versions of everything that computes, the devices, the allocator, and PyTorch's precision settings.

    Example:
        >>> found = environment()
        >>> found["packages"]["torch"] == torch.__version__, found["float32_matmul_precision"]
        (True, 'highest')
    """
    return {
        "python": platform.python_version(),
        "system": platform.platform(),
        "machine": platform.machine(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "packages": {package: _version(package) for package in PACKAGES},
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "cuda": torch.version.cuda or "none",
        **graphics(),
        "float32_matmul_precision": torch.get_float32_matmul_precision(),
        "cudnn_allow_tf32": torch.backends.cudnn.allow_tf32,
        "allocator": allocator(),
        "commit": _loaded_commit(),
    }


def optional(module: str) -> Any:
    """The module, or None where it cannot be imported.

    Example:
        >>> optional("math").sqrt(4.0), optional("no_such_module")
        (2.0, None)
    """
    try:
        return import_module(module)
    except ImportError:
        return None


def processor() -> str:
    """The model of the CPU as Linux tells it, elsewhere what Python knows, or "unknown"."""
    listing = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", listing.read_text()) if listing.exists() else None
    return found[1] if found else platform.processor() or platform.machine() or "unknown"


def graphics() -> dict[str, str]:
    """Driver, clocks now and at most, and power limit of the current GPU, as nvidia-smi tells; empty without it."""
    if not torch.cuda.is_available():
        return {}
    asked = ("driver_version", "clocks.sm", "clocks.max.sm", "clocks.mem", "power.limit")
    # nvidia-smi numbers the devices in its own order, and knows nothing of CUDA_VISIBLE_DEVICES
    which = f"--id=GPU-{torch.cuda.get_device_properties().uuid}"
    found = _output("nvidia-smi", which, f"--query-gpu={','.join(asked)}", "--format=csv,noheader")
    values = (found.splitlines() or [""])[0].split(", ")
    return dict(zip(asked, values, strict=True)) if len(values) == len(asked) else {}


def allocator() -> dict[str, Any]:
    """What hands out memory on the CPU, and the variables that set it: fresh pages can cost more than arithmetic."""
    set_to = {name: value for name, value in sorted(os.environ.items()) if name.startswith(ALLOCATORS)}
    maps = Path("/proc/self/maps")
    loaded = re.findall(r"(?:jemalloc|tcmalloc|mimalloc)[^/\s]*", maps.read_text()) if maps.exists() else []
    return {"library": loaded[0] if loaded else " ".join(platform.libc_ver()), "variables": set_to}


def commit() -> str:
    """The commit of the checkout, with a + if files were changed since; "unknown" outside of one."""
    revision = _git("rev-parse", "HEAD")
    if not revision:
        return "unknown"
    return revision + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


@cache
def _loaded_commit() -> str:
    """The commit when it was first asked for: what changes later is not in this process."""
    return commit()


def _git(*arguments: str) -> str:
    return _output("git", *arguments)


def _output(*command: str) -> str:
    """What a program prints; nothing if it is not there."""
    try:
        found = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return found.stdout.strip()


@cache
def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
