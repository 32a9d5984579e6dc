"""Figures of earlier runs, so that only what has changed is compiled."""

import hashlib
import json
import os
import sys
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import triton
from triton._C.libtriton import get_cache_invalidating_env_vars

from ndbench.kernels.variant import Variant
from ndbench.verify.resources.figures import Figures
from ndbench.verify.resources.targets import Target

_READERS = ("compilation.py", "sass.py", "amdgcn.py", "loops.py", "figures.py")


def folder() -> Path:
    """$NDBENCH_CACHE, or ndbench in the user's folder for caches."""
    if chosen := os.environ.get("NDBENCH_CACHE"):
        return Path(chosen)
    home = Path.home()
    if sys.platform == "darwin":
        return home / "Library" / "Caches" / "ndbench"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache") / "ndbench"


def key(variant: Variant, target: Target) -> str:
    """A digest of everything that the figures depend on.

    The kernel's source, with that of the functions it calls (Triton's own key); types, constants and options; the
    target; Triton's version and the environment variables that change what it compiles; and the code that reads it.
    """
    parts = (
        variant.kernel.cache_key,
        sorted(variant.signature.items()),
        sorted((name, str(value)) for name, value in variant.configuration.options().items()),
        variant.divisible,
        variant.ones,
        asdict(target),
        triton.__version__,
        sorted(get_cache_invalidating_env_vars().items()),
        _readers(),
    )
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@lru_cache
def _readers() -> str:
    """A digest of the code that turns machine code into figures."""
    here = Path(__file__).parent
    return hashlib.sha256(b"".join((here / name).read_bytes() for name in _READERS)).hexdigest()


def load(name: str) -> Figures | None:
    """The figures stored under this key."""
    try:
        return Figures(**json.loads(_path(name).read_text()))
    except FileNotFoundError:
        return None


def store(name: str, figures: Figures) -> None:
    """Keep the figures; a reader sees all of the file or nothing."""
    path = _path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}")
    part.write_text(json.dumps(asdict(figures)))
    part.replace(path)


def _path(name: str) -> Path:
    return folder() / "resources" / f"{name}.json"
