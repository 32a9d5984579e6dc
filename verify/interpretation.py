"""Triton's interpreter at several times its speed, with the same results.

A third of its time goes into patching Triton's language, a third into looking for integer overflow, and of what then
remains a tenth into making one table over and over, and a third into describing the same few shapes again.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from types import ModuleType
from typing import Any


@contextmanager
def quickly() -> Iterator[None]:
    """Inside the block the interpreter does without all four.

    Example:
        >>> with quickly():
        ...     pass  # launch kernels, with TRITON_INTERPRET=1
    """
    with patching_once(), overflow_checked(False), types_remembered(), shapes_remembered():
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


@contextmanager
def shapes_remembered() -> Iterator[None]:
    """Inside the block, what a type of blocks, or a tensor, says of its shape is made once for each shape.

    The interpreter makes a type and a tensor for every result of an operation, and wraps every size of both anew.

    Example:
        >>> with shapes_remembered():
        ...     pass  # launch kernels, with TRITON_INTERPRET=1
    """
    from triton.language import core  # noqa: PLC0415 - Triton exists on Linux only

    make_type, make_tensor = core.block_type.__init__, core.tensor.__init__
    types: dict[tuple[int, ...], dict[str, Any]] = {}
    shapes: dict[tuple[int, ...], tuple[Any, Any]] = {}

    def remember_type(self: Any, element_ty: Any, shape: Any) -> None:
        sizes = shape.values if type(shape) is core.tuple else shape
        key = (id(element_ty), *[size.value if type(size) is core.constexpr else size for size in sizes])
        if key not in types:
            make_type(self, element_ty, shape)
            if len(types) == MOST_TYPES:
                types.clear()
            # with the element's type, whose number is then nobody else's
            types[key] = vars(self).copy()
        else:
            vars(self).update(types[key])

    def remember_shape(self: Any, handle: Any, type: Any) -> None:
        key = tuple(type.shape.values) if type.is_block() else ()
        if key not in shapes:
            make_tensor(self, handle, type)
            shapes[key] = self.shape, self.numel
        else:
            self.handle, self.type, self.dtype = handle, type, type.scalar
            self.shape, self.numel = shapes[key]

    core.block_type.__init__, core.tensor.__init__ = remember_type, remember_shape
    try:
        yield
    finally:
        core.block_type.__init__, core.tensor.__init__ = make_type, make_tensor


MOST_TYPES = 4096
"""Of blocks that are remembered: every launch has types of pointers of its own."""


@lru_cache(maxsize=1024)
def _modules(function: Callable[..., Any]) -> frozenset[str]:
    """Names of the modules that a function sees, those of Triton's language among them."""
    return frozenset(v.__name__ for v in function.__globals__.values() if isinstance(v, ModuleType))
