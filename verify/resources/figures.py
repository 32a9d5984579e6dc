"""What the compiled form of a kernel uses and consists of."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """Facts about one compiled kernel; counts of instructions are static, each place in the code once.

    Attributes:
        registers: vector registers of a thread (AMD: accumulation registers included).
        accumulators: those of them that are AMD's accumulation registers.
        stack: bytes of private memory of a thread.
        spill_loads: instructions that read private memory.
        spill_stores: instructions that write it.
        spills_in_loops: those of both that lie inside a loop.
        scalar_spills: scalar registers that AMD's compiler kept in lanes of vector registers; no memory is touched.
        shared: bytes of shared memory of a program.
        tensor_memory: columns of tensor memory of a program.
        instructions: all but padding.
        multiply_adds: fused multiply-adds of a thread outside the matrix units; one on a pair counts two.
        matrix: instructions of the matrix units by the type of their operands: "tf32", "f16", "bf16", "f16/bf16" where
            the instruction does not tell, "f32" (AMD), "f64", or "unknown".
        traps: instructions that abort the program.
        asked: the kernel's products of float32 tiles by the precision asked for, as Triton's front end read them.
        lowered: products of tiles after lowering; a tf32x3 product becomes three.
        asked_barriers: barriers that the source asks for, and the compiler's passes have left. They order what threads
            store and others load.
        barriers: instructions at which all threads of a program wait; the compiler adds its own, for shared memory.
    """

    registers: int
    stack: int
    spill_loads: int
    spill_stores: int
    spills_in_loops: int
    shared: int
    instructions: int
    multiply_adds: int
    matrix: Mapping[str, int]
    traps: int
    asked: Mapping[str, int]
    lowered: int
    accumulators: int = 0
    scalar_spills: int = 0
    tensor_memory: int = 0
    asked_barriers: int = 0
    barriers: int = 0
