"""The architectures kernels are compiled for, and what a program may use of each.

NVIDIA: CUDA Programming Guide, "Compute Capabilities", technical specifications (shared memory per thread block,
32-bit registers per multiprocessor) and PTX ISA 9.7.16 (512 columns of tensor memory). AMD: ROCm, "AMD GPU
specifications" (LDS, and a vector register file of 512 KiB per compute unit, which is 512 registers for each of 64
lanes on each of 4 SIMDs).
"""

from collections.abc import Sequence
from dataclasses import dataclass

KIB = 1024
REGISTER_GRANULE = 8
"""Registers of a thread are given out in eights, by both vendors."""


@dataclass(frozen=True)
class Target:
    """An architecture.

    Attributes:
        name: as the vendor's compiler calls it.
        vendor: "nvidia" or "amd".
        arch: as Triton calls it.
        shared_memory: bytes that one program may have.
        tensor_memory: columns of tensor memory, of which 512 bytes each hold 128 numbers; 0 where there is none.
    """

    name: str
    vendor: str
    arch: int | str
    shared_memory: int
    tensor_memory: int = 0

    @property
    def backend(self) -> str:
        """Triton's name of the vendor's platform."""
        return {"nvidia": "cuda", "amd": "hip"}[self.vendor]

    @property
    def warp(self) -> int:
        """Threads of a warp."""
        return {"nvidia": 32, "amd": 64}[self.vendor]

    def warps_that_fit(self, registers: int) -> int:
        """Warps of so many registers a thread that the registers of one multiprocessor hold.

        NVIDIA: 65536 registers. AMD: 512 for each lane of each of four SIMDs, and a warp lives on one of them.
        """
        given = -(-registers // REGISTER_GRANULE) * REGISTER_GRANULE
        if self.vendor == "nvidia":
            return 65536 // (given * self.warp)
        return 4 * (512 // given)


TARGETS = (
    Target("sm_80", "nvidia", 80, 163 * KIB),
    Target("sm_90", "nvidia", 90, 227 * KIB),
    Target("sm_100", "nvidia", 100, 227 * KIB, tensor_memory=512),
    Target("gfx942", "amd", "gfx942", 64 * KIB),
    Target("gfx950", "amd", "gfx950", 160 * KIB),
)


def target_named(name: str, among: Sequence[Target] = TARGETS) -> Target:
    """The one of this name.

    Example:
        >>> target_named("sm_90").shared_memory
        232448
    """
    found = [target for target in among if target.name == name]
    if not found:
        raise ValueError(f"target: must be one of {', '.join(t.name for t in among)}; got {name!r}")
    return found[0]
