"""What a launch compiles into a kernel besides types and constants, and what it does not."""

import inspect
from collections.abc import Callable
from typing import Any

import triton
import triton.language as tl


def specialized_on(*names: str) -> Callable[[Callable[..., Any]], Any]:
    """`triton.jit` of a kernel of which a launch finds out only whether these numbers are 1 or divisible by 16.

    Left to itself Triton asks that of every number, of pointers whether they are aligned and, on AMD, whether their
    tensors take less than 2 GiB; it compiles the kernel anew for every answer, and launches code that nobody judged.
    What is not named here is compiled by its type alone, as a `Variant` describes it. Name no pointer: a kernel says
    itself where vectors may be loaded, by `tl.multiple_of(pointer + offset, 16)`.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        arguments = inspect.signature(function).parameters.values()
        others = [a.name for a in arguments if a.annotation is not tl.constexpr and a.name not in names]
        return triton.jit(do_not_specialize=others, do_not_specialize_on_alignment=others)(function)

    return decorate
