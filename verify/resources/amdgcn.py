"""AMD's machine code as LLVM prints it, with its resources in comments, directives and metadata."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from ndbench.verify.resources.loops import Instruction, in_loops

_LABEL = re.compile(r"^(\.?\w+):")
_LINE = re.compile(r"^\t([a-z]\w+)(?:[ \t]+([^;\n]*))?")
_MATRIX = re.compile(r"^v_s?mfmac?_")
_PRIVATE = re.compile(r"^scratch_(load|store)_")
_FUSED = re.compile(r"^v_(pk_)?(?:fma|fmac|dot\d\w*)_")
_PADDING = ("s_nop", "s_code_end")


def usage(text: str) -> dict[str, int]:
    r"""The numbers in the kernel's metadata, such as vgpr_count and private_segment_fixed_size.

    Example:
        >>> usage("    .vgpr_count:     118\n    .vgpr_spill_count: 0")["vgpr_count"]
        118
    """
    return {name: int(value) for name, value in re.findall(r"^\s+(?:- )?\.(\w+):\s+(\d+)$", text, re.MULTILINE)}


def parse(text: str) -> list[Instruction]:
    """The instructions of the first function in the text, padding left out."""
    body = text.partition("\n.Lfunc_end")[0]
    labels: dict[str, int] = {}
    lines: list[tuple[str, str]] = []
    for line in body.splitlines():
        if label := _LABEL.match(line):
            labels[label[1]] = len(lines)
        elif (found := _LINE.match(line)) and found[1] not in _PADDING:
            lines.append((found[1], (found[2] or "").strip()))
    return [_instruction(labels, opcode, operands) for opcode, operands in lines]


def _instruction(labels: Mapping[str, int], opcode: str, operands: str) -> Instruction:
    if opcode.startswith(("s_branch", "s_cbranch")):
        return Instruction(opcode, operands, targets=(labels[operands],), continues=opcode != "s_branch")
    return Instruction(opcode, operands, continues=opcode not in ("s_endpgm", "s_setpc_b64"))


def matrix_kinds(program: Sequence[Instruction]) -> dict[str, int]:
    """Instructions of the matrix cores by the type of their operands: the last word of their names.

    v_mfma_f32_32x32x2_f32 multiplies float32 exactly as a fused multiply-add does; xf32 is AMD's tf32.
    """
    names = [i.opcode for i in program if _MATRIX.match(i.opcode)]
    return dict(Counter(_kind(name) for name in names))


def _kind(opcode: str) -> str:
    last = opcode.removesuffix("_1k").rpartition("_")[2]
    known = {"f32": "f32", "xf32": "tf32", "f16": "f16", "bf16": "bf16", "f64": "f64"}
    return known.get(last, "unknown")


def multiply_adds(program: Sequence[Instruction]) -> int:
    """Fused multiply-adds outside the matrix cores; packed ones count two."""
    found = [match for i in program if (match := _FUSED.match(i.opcode))]
    return sum(2 if match[1] else 1 for match in found)


def spills(program: Sequence[Instruction]) -> tuple[int, int, int]:
    """Loads and stores of private memory, and how many of both lie inside a loop."""
    found = [(k, match[1]) for k, i in enumerate(program) if (match := _PRIVATE.match(i.opcode))]
    inside = in_loops(program)
    return sum(c == "load" for _, c in found), sum(c == "store" for _, c in found), sum(k in inside for k, _ in found)


def barriers(program: Sequence[Instruction]) -> int:
    """Instructions at which all threads of a program wait for one another."""
    return sum(i.opcode == "s_barrier" for i in program)


def traps(program: Sequence[Instruction]) -> int:
    """Instructions that abort the program."""
    return sum(i.opcode == "s_trap" for i in program)
