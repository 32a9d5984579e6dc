"""From the number of a row to its image, line and column, by exact division: a multiplication and a shift.

For 0 <= q < 2^31 and 1 <= D < 2^31, with s = ceil(log2 D) and m = ceil(2^(31 + s) / D),

    q // D = (q m) >> (31 + s) = umulhi(2 q, m) >> s

(Granlund and Montgomery, Division by invariant integers using multiplication, PLDI 1994, theorem 4.2).
"""

import triton
import triton.language as tl


def reciprocal(divisor: int) -> tuple[int, int]:
    """m, as the signed 32-bit integer of the same bits, and s."""
    shift = (divisor - 1).bit_length()
    multiplier = -(-(2 ** (31 + shift)) // divisor)
    return multiplier - 2**32 if multiplier >= 2**31 else multiplier, shift


@triton.jit
def place_of(q, area, width, reciprocals):
    """Image, line and column of rows q in int32, with `area` rows an image and `width` a line.

    The reciprocals of area and width follow each other in memory.
    """
    high = tl.umulhi(q.to(tl.uint32) * 2, tl.load(reciprocals).to(tl.uint32, bitcast=True))
    image = (high >> tl.load(reciprocals + 1).to(tl.uint32)).to(tl.int32)
    rest = q - image * area
    high = tl.umulhi(rest.to(tl.uint32) * 2, tl.load(reciprocals + 2).to(tl.uint32, bitcast=True))
    line = (high >> tl.load(reciprocals + 3).to(tl.uint32)).to(tl.int32)
    return image, line, rest - line * width
