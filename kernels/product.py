"""The product of two tiles."""

import triton
import triton.language as tl


@triton.jit
def product(X, Y, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """X Y with operands of the type asked for and sums in float32."""
    return tl.dot(X.to(OPERAND), Y.to(OPERAND), input_precision=PRECISION, out_dtype=tl.float32)


@triton.jit
def add_product(S, X, Y, OPERAND: tl.constexpr, PRECISION: tl.constexpr):
    """S + X Y, the same way."""
    return tl.dot(X.to(OPERAND), Y.to(OPERAND), S, input_precision=PRECISION, out_dtype=tl.float32)
