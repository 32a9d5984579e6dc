"""Exact division by numbers that are known when a kernel is launched: a multiplication and a shift.

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
def quotient(q, multiplier, shift):
    """Q // D for int32 q; multiplier and shift were loaded from a table of `reciprocal`."""
    doubled = q.to(tl.uint32) * 2
    high = tl.umulhi(doubled, multiplier.to(tl.uint32, bitcast=True))
    return (high >> shift.to(tl.uint32)).to(tl.int32)
