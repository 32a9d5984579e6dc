"""What a compiled kernel has to satisfy: each rule says in a sentence what is wrong, or nothing."""

from collections.abc import Callable
from dataclasses import dataclass

from ndbench.kernels.variant import Variant
from ndbench.verify.resources.figures import Figures
from ndbench.verify.resources.targets import Target

LARGEST_STACK = 256
FEWEST_INSTRUCTIONS = 32
EXACT = {"f32", "f64"}
"""Operands of matrix instructions that lose no digit of a float32."""
HALVES = {"fp16": "f16", "bf16": "bf16"}
"""What machine code calls Triton's 16-bit types."""


@dataclass(frozen=True)
class Compiled:
    """A variant, what it was compiled for, and what came out."""

    variant: Variant
    target: Target
    figures: Figures


@dataclass(frozen=True)
class Failure:
    """A rule that is broken, and how."""

    rule: str
    message: str


def no_spills_in_loops(it: Compiled) -> str:
    """A spill inside a loop pays a trip to memory on every pass, where registers were meant to spare it."""
    count = it.figures.spills_in_loops
    return f"{count} loads and stores of private memory inside loops" if count else ""


def small_stack(it: Compiled) -> str:
    """At most 256 bytes: a quarter of what 255 registers hold, moved once.

    Beyond that the compiler has given up: collapsed kernels were seen with 32 registers and kilobytes of stack, some
    without any loop, so that the rule about loops does not see them.
    """
    stack = it.figures.stack
    return f"{stack} bytes of stack, more than {LARGEST_STACK}" if stack > LARGEST_STACK else ""


def shared_memory(it: Compiled) -> str:
    """A program with more shared memory than the architecture gives to one cannot be launched."""
    used, given = it.figures.shared, it.target.shared_memory
    return f"{used} bytes of shared memory, and there are {given}" if used > given else ""


def tensor_memory(it: Compiled) -> str:
    """A program with more columns than there are cannot be launched."""
    used, given = it.figures.tensor_memory, it.target.tensor_memory
    return f"{used} columns of tensor memory, and there are {given}" if used > given else ""


def register_file(it: Compiled) -> str:
    """The warps of one program live on one multiprocessor together, so its registers must hold them all."""
    warps, fit = it.variant.configuration.warps, it.target.warps_that_fit(it.figures.registers)
    return f"{warps} warps of {it.figures.registers} registers, and {fit} fit" if warps > fit else ""


def asked_precision(it: Compiled) -> str:
    """Every product of float32 tiles asks for the precision that the variant is listed under, and there are some.

    The types of matrix instructions cannot tell tf32 from tf32x3; the source that Triton's front end produced can.
    """
    promised = "ieee" if it.variant.precision == "half" else it.variant.precision
    if it.variant.products and it.variant.precision != "half" and not it.figures.asked:
        return "no product of float32 tiles"
    wrong = {precision: count for precision, count in it.figures.asked.items() if precision != promised}
    return f"asks for {_shown(wrong)} where {promised} is promised" if wrong else ""


def threefold(it: Compiled) -> str:
    """tf32x3 is three tf32 products, and the compiler keeps them all."""
    asked = it.figures.asked.get("tf32x3", 0)
    short = it.figures.lowered < 3 * asked
    return f"{asked} products in tf32x3 became {it.figures.lowered} after lowering" if short else ""


def tensor_cores(it: Compiled) -> str:
    """tf32, tf32x3 and half types are asked for the sake of the matrix units; without them they only lose digits."""
    promised = it.variant.products and it.variant.precision != "ieee"
    found = promised and any(_types(kind) & _promised_types(it.variant) for kind in it.figures.matrix)
    wanted = " or ".join(sorted(_promised_types(it.variant)))
    return f"no matrix instruction with {wanted} operands" if promised and not found else ""


def no_lost_digits(it: Compiled) -> str:
    """No matrix instruction rounds operands more than the precision allows.

    An "ieee" kernel has none but exact ones. For sm_100, Triton 3.7.1 compiles tl.dot(..., "ieee") of float32 tiles
    to tf32 instructions without a word, from order 64 on, where an operand is the reshape of a join; budgets for 2^-24
    then fail on the device. There is no exception for sm_100: a kernel in which this happens is wrong as it is
    launched, and is to be written without joined operands.
    """
    allowed = EXACT | (_promised_types(it.variant) if it.variant.precision != "ieee" else set())
    wrong = {kind: count for kind, count in it.figures.matrix.items() if not _types(kind) & allowed}
    return f"matrix instructions with {_shown(wrong)} operands in {it.variant.precision}" if wrong else ""


def no_trap(it: Compiled) -> str:
    """A compiler that cannot translate a place may put a trap there, which ends the program on the device."""
    return f"{it.figures.traps} traps" if it.figures.traps else ""


def promised_barriers(it: Compiled) -> str:
    """Where threads load what others of the program stored, all of them wait in between.

    The interpreter runs one program as one thread, and misses no barrier. Those of the source are told from those that
    the compiler adds around shared memory, by counting them before it does; no fewer may be left in machine code.
    """
    promised, asked, found = it.variant.barriers, it.figures.asked_barriers, it.figures.barriers
    if asked != promised:
        return f"asks for {asked} barriers where {promised} are promised"
    return f"{asked} barriers asked for became {found}" if found < asked else ""


def enough_instructions(it: Compiled) -> str:
    """At least 32: Addresses, a load, arithmetic and a store need more.

    sm_100 was seen to compile a whole kernel, without an error, to a trap and 15 instructions around it.
    """
    count = it.figures.instructions
    return f"{count} instructions, fewer than {FEWEST_INSTRUCTIONS}" if count < FEWEST_INSTRUCTIONS else ""


def multiplies(it: Compiled) -> str:
    """A kernel with products has multiply-adds; in one without, the products were dropped as unused."""
    found = it.figures.multiply_adds or sum(it.figures.matrix.values())
    return "no multiply-add and no matrix instruction" if it.variant.products and not found else ""


RULES: tuple[Callable[[Compiled], str], ...] = (
    no_spills_in_loops,
    small_stack,
    shared_memory,
    tensor_memory,
    register_file,
    asked_precision,
    threefold,
    tensor_cores,
    no_lost_digits,
    no_trap,
    promised_barriers,
    enough_instructions,
    multiplies,
)


def failures(it: Compiled) -> tuple[Failure, ...]:
    """The rules that are broken."""
    found = [(rule.__name__.replace("_", "-"), rule(it)) for rule in RULES]
    return tuple(Failure(name, message) for name, message in found if message)


def _types(kind: str) -> set[str]:
    """What the operands may be; some instructions leave it open."""
    return set(kind.split("/"))


def _promised_types(variant: Variant) -> set[str]:
    """Operands of the matrix instructions that the precision stands for.

    Those of "half" are the 16-bit types among the variant's arguments and constants.
    """
    if variant.precision != "half":
        return {"tf32"}
    named = [*variant.signature.values(), *map(str, variant.configuration.constants.values())]
    return {HALVES[name.lstrip("*")] for name in named if name.lstrip("*") in HALVES}


def _shown(counts: dict[str, int]) -> str:
    return ", ".join(f"{kind} ({count})" for kind, count in sorted(counts.items()))
