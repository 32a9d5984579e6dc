"""How a kernel multiplies: explicitly, never by a global setting."""

import torch

from ndbench.kernels.runtime import interpreted, on_amd

PRECISIONS = ("ieee", "tf32x3", "tf32")
"""Of products of float32 operands: in float32; by three tf32 products each; by one."""

AMD = "AMD devices multiply float32 in 'ieee' only"

_ROUNDOFF = {"tf32x3": 2.0**-22, "tf32": 2.0**-11}


def product_roundoff(dtype: torch.dtype, precision: str) -> float:
    """The unit roundoff u of products of this type; their sums are kept in float32.

    tf32 has 11 significant bits. Its threefold product splits each operand into two tf32 numbers, whose sum misses
    2^-22 of the operand, and leaves out the product of the two small parts, another 2^-22.

    Example:
        >>> product_roundoff(torch.float32, "tf32") == product_roundoff(torch.float16, "ieee") == 2.0**-11
        True
    """
    own = torch.finfo(dtype).eps / 2
    return own if precision == "ieee" else max(own, _ROUNDOFF[precision])


def products_of_shifted(dtype: torch.dtype, precision: str) -> str:
    """How a kernel multiplies x - s, which float32 holds: as asked for float32 x, in one way for a 16-bit x.

    That is "tf32x3" on NVIDIA, which is exact to 2^-22 on tensor cores, far below the rounding of x and of the answer;
    "ieee" on AMD, and in the interpreter, which knows no other.
    """
    if dtype == torch.float32:
        return precision
    return "ieee" if on_amd() or interpreted() else "tf32x3"


WAYS = (
    *(
        (torch.float32, precision, ("nvidia", "amd") if precision == "ieee" else ("nvidia",))
        for precision in PRECISIONS
    ),
    *((dtype, "tf32x3", ("nvidia",)) for dtype in (torch.float16, torch.bfloat16)),
    *((dtype, "ieee", ("amd",)) for dtype in (torch.float16, torch.bfloat16)),
)
"""Every type of x with the precisions of its shifted products, and on whose devices."""


def precisions_here() -> tuple[str, ...]:
    """Those of the devices that PyTorch was built for."""
    return ("ieee",) if on_amd() else PRECISIONS


def require_precision(precision: str, dtype: torch.dtype, name: str) -> None:
    """Raise unless this way of multiplying exists for the type."""
    if precision not in PRECISIONS:
        raise ValueError(f"{name}: precision must be one of {', '.join(PRECISIONS)}; got {precision!r}")
    if precision != "ieee" and dtype != torch.float32:
        raise ValueError(
            f"{name}: precision {precision!r} is of float32 products, and {dtype} has its own; use precision='ieee'"
        )
    if precision not in precisions_here():
        raise ValueError(f"{name}: {AMD}; got precision={precision!r}")
