"""The ways in which these kernels multiply: a type of operands and a precision."""

from dataclasses import dataclass
from typing import Any

import torch
import triton.language as tl

from ndbench.kernels.precision import PRECISIONS
from ndbench.kernels.variant import TRITON_TYPES

_OPERANDS = {torch.float32: tl.float32, torch.float16: tl.float16, torch.bfloat16: tl.bfloat16}


@dataclass(frozen=True)
class Multiplication:
    """Products of operands of one type, with sums in float32.

    Attributes:
        dtype: of the matrices, and of the operands.
        precision: "ieee", "tf32x3" or "tf32" of float32 operands.
    """

    dtype: torch.dtype
    precision: str = "ieee"

    @property
    def constants(self) -> dict[str, Any]:
        """Constants of a kernel."""
        return {"OPERAND": _OPERANDS[self.dtype], "PRECISION": self.precision}

    @property
    def pointer(self) -> str:
        """Triton's type of a pointer to the matrices."""
        return f"*{TRITON_TYPES[self.dtype]}"

    @property
    def name(self) -> str:
        """What it is called among variants."""
        return self.precision if self.dtype == torch.float32 else TRITON_TYPES[self.dtype]

    @property
    def kind(self) -> str:
        """The precision of a `Variant`."""
        return self.precision if self.dtype == torch.float32 else "half"

    @property
    def vendors(self) -> tuple[str, ...]:
        """Whose devices have it."""
        return ("nvidia", "amd") if self.precision == "ieee" else ("nvidia",)


MULTIPLICATIONS = (
    *(Multiplication(torch.float32, precision) for precision in PRECISIONS),
    Multiplication(torch.float16),
    Multiplication(torch.bfloat16),
)
"""All of them."""
