"""NVIDIA's machine code: what `cuobjdump -sass` and `cuobjdump -res-usage` print."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ndbench.verify.resources.loops import Instruction, in_loops

_LINE = re.compile(r"^\s+/\*([0-9a-f]{4,})\*/\s+(?:@(!?\w+)\s+)?([A-Z][\w.]*)\s*([^;]*?)\s*;", re.MULTILINE)
_ADDRESS = re.compile(r"\b0x[0-9a-f]+$")
_MATRIX = re.compile(r"^(?:UTC)?(?:[HDIQO]|HG|IG|QG|OG|BG)MMA")
_FIFTH_GENERATION = re.compile(r"tcgen05\.mma(?:\.sp)?\.cta_group::\d\.kind::(\w+)")
_INDIRECT = ("BRX", "BRXU", "JMP", "JMX", "JMXU")


def usage(text: str) -> dict[str, int]:
    r"""The numbers of `cuobjdump -res-usage`, such as REG and STACK.

    Example:
        >>> usage(" Function step:\n  REG:236 STACK:48 SHARED:1024 LOCAL:0 CONSTANT[0]:424")["STACK"]
        48
    """
    return {name: int(value) for name, value in re.findall(r"\b([A-Z]+)(?:\[\d+\])?:(\d+)", text)}


def parse(text: str) -> list[Instruction]:
    """The instructions of the one function in the text, with its padding, to which branches may lead.

    BSSY names the place where the threads of a warp meet again. That place is entered as one more target, so that
    BSYNC, which goes there, needs none.
    """
    if text.count("Function :") != 1:
        raise ValueError(f"SASS: must hold one function; got {text.count('Function :')}")
    lines = _LINE.findall(text)
    index = {int(address, 16): i for i, (address, *_) in enumerate(lines)}
    return [_instruction(index, guard, opcode, operands) for _, guard, opcode, operands in lines]


def _instruction(index: Mapping[int, int], guard: str, opcode: str, operands: str) -> Instruction:
    base = opcode.partition(".")[0]
    if base in _INDIRECT:
        raise ValueError(f"SASS: {opcode} jumps to places that its text does not tell")
    address = _ADDRESS.search(operands)
    place = index.get(int(address[0], 16)) if address else None
    targets = () if place is None else (place,)
    if base == "CALL":
        return Instruction(opcode, operands, calls=place)
    if base == "BRA":
        return Instruction(opcode, operands, targets, continues=bool(guard) or "," in operands)
    if base in ("BSSY", "WARPSYNC"):
        return Instruction(opcode, operands, targets)
    ends = base in ("EXIT", "RET") or opcode.startswith("BPT.TRAP")
    return Instruction(opcode, operands, continues=bool(guard) or not ends)


def matrix_kinds(program: Sequence[Instruction], ptx: str) -> dict[str, int]:
    """Instructions of the tensor cores by the type of their operands.

    HFMA2.MMA is none: so disassemblers call half-precision arithmetic, and moves made of it, on the pipe beside the
    tensor cores. Fifth-generation instructions (UTCHMMA) read the type from a descriptor, so that only PTX tells it.
    """
    names = [i.opcode for i in program if _MATRIX.match(i.opcode)]
    return dict(Counter(_fifth_generation(ptx) if name.startswith("UTC") else _kind(name) for name in names))


def _kind(opcode: str) -> str:
    if "TF32" in opcode:
        return "tf32"
    if opcode.startswith(("HMMA", "HGMMA")):
        return "bf16" if "BF16" in opcode else "f16"
    return "f64" if opcode.startswith("DMMA") else "unknown"


def _fifth_generation(ptx: str) -> str:
    kinds = set(_FIFTH_GENERATION.findall(ptx))
    known = {"tf32": "tf32", "f16": "f16/bf16"}
    return "/".join(sorted(known.get(kind, "unknown") for kind in kinds)) or "unknown"


def size(program: Sequence[Instruction]) -> int:
    """Instructions that do something."""
    return sum(i.opcode != "NOP" for i in program)


def multiply_adds(program: Sequence[Instruction]) -> int:
    """Fused multiply-adds of numbers: FFMA, DFMA, and FFMA2 and HFMA2 for two each.

    Those with the constant zero as a factor only move data.
    """
    counts = {"FFMA": 1, "DFMA": 1, "FFMA2": 2, "HFMA2": 2}
    moving = re.compile(r"-?RZ, -?RZ")
    return sum(counts.get(i.opcode.partition(".")[0], 0) for i in program if not moving.search(i.operands))


def spills(program: Sequence[Instruction]) -> tuple[int, int, int]:
    """Loads and stores of local memory, and how many of both lie inside a loop."""
    found = [(k, i.opcode[:3]) for k, i in enumerate(program) if i.opcode.startswith(("LDL", "STL"))]
    inside = in_loops(program)
    return sum(c == "LDL" for _, c in found), sum(c == "STL" for _, c in found), sum(k in inside for k, _ in found)


def barriers(program: Sequence[Instruction]) -> int:
    """Instructions at which all threads of a program wait for one another."""
    return sum(i.opcode.startswith("BAR.SYNC") for i in program)


def traps(program: Sequence[Instruction]) -> int:
    """Instructions in the flow of the program that abort it.

    Those that a call leads to are left out: for sm_100, ptxas guards the allocation of tensor memory by three small
    subroutines that trap, in every kernel that has tensor memory.
    """
    called = {i.calls for i in program}
    return sum(i.opcode.startswith("BPT.TRAP") and k not in called for k, i in enumerate(program))
