"""A kernel in one configuration, as it is launched and as it can be compiled ahead of time."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

TRITON_TYPES = {torch.float32: "fp32", torch.float16: "fp16", torch.bfloat16: "bf16", torch.float64: "fp64"}
"""What Triton calls the element types."""


@dataclass(frozen=True)
class Configuration:
    """What is chosen about a launch, apart from its problem.

    Attributes:
        constants: the kernel's tl.constexpr parameters.
        warps: warps of a program.
        stages: stages of software pipelining.
    """

    constants: Mapping[str, Any]
    warps: int
    stages: int = 1

    def options(self) -> dict[str, Any]:
        """Keywords of a launch."""
        return {**self.constants, "num_warps": self.warps, "num_stages": self.stages}


@dataclass(frozen=True)
class Variant:
    """One kernel to compile without launching it.

    Attributes:
        name: folder, kernel and what is special, such as "newton_schulz.small/32/ieee".
        kernel: the function that `triton.jit` returned.
        signature: Triton's type of every argument that is not constant, such as "*fp32", "i32", "i64".
        configuration: constants, warps and stages.
        precision: of its products: "ieee", "tf32x3", "tf32", or "half" for 16-bit operands.
        products: whether it multiplies by tl.dot, so that tensor cores are expected unless "ieee".
        divisible: arguments known to be divisible by 16, as a launch finds out (pointers and numbers).
        ones: arguments that are 1, which a launch compiles in as constants, such as the last stride of what is
            contiguous.
        vendors: "nvidia", "amd": whom it is meant for.
        barriers: places at which the kernel has all its threads wait (tl.debug_barrier), since what some stored others
            load.
    """

    name: str
    kernel: Any
    signature: Mapping[str, str]
    configuration: Configuration
    precision: str
    products: bool = True
    divisible: tuple[str, ...] = field(default=())
    vendors: tuple[str, ...] = ("nvidia", "amd")
    ones: tuple[str, ...] = ()
    barriers: int = 0
