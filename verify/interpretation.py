"""Triton's interpreter at more than twice its speed, with the same results.

A third of its time goes into patching Triton's language, a third into looking for integer overflow, and a tenth of
what then remains into making one table over and over.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from typing import Any


@contextmanager
def quickly() -> Iterator[None]:
    """Inside the block the interpreter does without all three.

    Example:
        >>> with quickly():
        ...     pass  # launch kernels, with TRITON_INTERPRET=1
    """
    with patching_once(), overflow_checked(False), types_remembered():
        yield


@contextmanager
def patching_once() -> Iterator[None]:
    """Inside the block, a launch patches Triton's language once, not at every call from within a kernel as well.

    The interpreter replaces the builtins of `triton.language` by its own at the start of a launch, and looks for
    builtins again, among several hundred names, whenever a kernel calls a function: a millisecond. It finds none,
    unless that function sees a module of the language that no earlier one of the launch saw.

    Example:
        >>> with patching_once():
        ...     pass  # launch kernels, with TRITON_INTERPRET=1
    """
    from triton.runtime import interpreter  # noqa: PLC0415 - Triton exists on Linux only

    patch, launch = interpreter._patch_lang, interpreter.GridExecutor.__call__
    patched: set[frozenset[str]] = set()

    def patch_once(function: Callable[..., Any]) -> Any:
        seen = _modules(function)
        if seen in patched:
            return None
        patched.add(seen)
        return patch(function)

    def launch_afresh(executor: Any, *arguments: Any, **options: Any) -> Any:
        patched.clear()
        return launch(executor, *arguments, **options)

    interpreter._patch_lang, interpreter.GridExecutor.__call__ = patch_once, launch_afresh
    try:
        yield
    finally:
        interpreter._patch_lang, interpreter.GridExecutor.__call__ = patch, launch


@contextmanager
def overflow_checked(checked: bool) -> Iterator[None]:
    """Inside the block, the interpreter raises where an integer of 32 bits overflows, or does not look.

    By default it does neither: it looks, by nine more operations for each sum and product of integers, and says
    nothing of what it finds. Compiled kernels do not look.

    Example:
        >>> with overflow_checked(True):
        ...     pass  # launch kernels, with TRITON_INTERPRET=1
    """
    from triton.runtime.interpreter import interpreter_builder as builder  # noqa: PLC0415 - Triton exists on Linux only

    before = builder.options
    builder.options = replace(before, sanitize_overflow=checked, debug=checked)
    try:
        yield
    finally:
        builder.options = before


@contextmanager
def types_remembered() -> Iterator[None]:
    """Inside the block, NumPy's type for one of Triton's is looked up in a table that is made once.

    Example:
        >>> with types_remembered():
        ...     pass  # launch kernels, with TRITON_INTERPRET=1
    """
    from triton.language import dtype as Scalar  # noqa: N812, PLC0415 - Triton exists on Linux only
    from triton.runtime import interpreter  # noqa: PLC0415

    look_up = interpreter._get_np_dtype
    known: dict[str, Any] = {}

    def remember(wanted: Any) -> Any:
        # types of blocks and pointers have no name that tells them apart
        if type(wanted) is not Scalar:
            return look_up(wanted)
        if wanted.name not in known:
            known[wanted.name] = look_up(wanted)
        return known[wanted.name]

    interpreter._get_np_dtype = remember
    try:
        yield
    finally:
        interpreter._get_np_dtype = look_up


@lru_cache(maxsize=1024)
def _modules(function: Callable[..., Any]) -> frozenset[str]:
    """Names of the modules that a function sees, those of Triton's language among them."""
    return frozenset(v.__name__ for v in function.__globals__.values() if isinstance(v, ModuleType))
