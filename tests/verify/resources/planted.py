"""Kernels with the faults that the gates are for, and variants of them."""

import pytest
import triton
import triton.language as tl

from ndbench.kernels.runtime import interpreted
from ndbench.kernels.variant import Configuration, Variant

NEEDS_COMPILER = pytest.mark.skipif(interpreted(), reason="Triton interprets in this process and cannot compile")

POINTERS = {"A": "*fp32", "B": "*fp32", "C": "*fp32"}
HALF_POINTERS = {"A": "*fp16", "B": "*fp16", "C": "*fp32"}


@triton.jit
def right(A, B, C, N: tl.constexpr, PRECISION: tl.constexpr):
    """C = A B."""
    row, column = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    product = tl.dot(tl.load(A + row * N + column), tl.load(B + row * N + column), input_precision=PRECISION)
    tl.store(C + row * N + column, product)


@triton.jit
def strided(A, B, C, stride, N: tl.constexpr):
    """C = A B, with columns apart by the stride."""
    row, column = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :] * stride
    product = tl.dot(tl.load(A + row * N + column), tl.load(B + row * N + column), input_precision="ieee")
    tl.store(C + row * N + column, product)


@triton.jit
def spilling(A, B, C, steps, N: tl.constexpr):
    """Three iterates in the registers of one warp."""
    row, column = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    X, Y, Z = tl.load(A + row * N + column), tl.load(B + row * N + column), tl.load(C + row * N + column)
    for _ in range(steps):
        X = tl.dot(X, Y, input_precision="ieee")
        Y = Y + tl.dot(Z, X, input_precision="ieee")
        Z = Z - X + Y
    tl.store(C + row * N + column, X + Y + Z)


@triton.jit
def joined(A, B, C, N: tl.constexpr):
    """An "ieee" product that Triton 3.7.1 compiles to tf32 on sm_100: one operand is the reshape of a join."""
    H: tl.constexpr = N // 2
    row, column, half = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :], tl.arange(0, H)[None, :]
    halves = tl.join(tl.load(A + row * N + half), tl.load(A + row * N + H + half))
    X = tl.reshape(tl.permute(halves, (0, 2, 1)), (N, N))
    tl.store(C + row * N + column, tl.dot(X, tl.load(B + row * N + column), input_precision="ieee"))


@triton.jit
def trapped(A, C, INSTRUCTION: tl.constexpr, REGISTERS: tl.constexpr, N: tl.constexpr):
    """A trap in the middle."""
    place = tl.arange(0, N)
    X = tl.inline_asm_elementwise(INSTRUCTION, REGISTERS, [tl.load(A + place)], dtype=tl.float32, is_pure=False, pack=1)
    tl.store(C + place, X / 3 + tl.exp(X))


@triton.jit
def greedy(A, B, C, K, N: tl.constexpr):
    """More stages of A and B than shared memory holds."""
    row, column = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    X = tl.zeros((N, N), tl.float32)
    for start in range(0, K, N):
        X = tl.dot(tl.load(A + row * K + start + column), tl.load(B + (start + row) * N + column), X)
    tl.store(C + row * N + column, X)


@triton.jit
def by_sums(A, B, C, N: tl.constexpr):
    """A product without tl.dot."""
    row, column, k = tl.arange(0, N)[:, None, None], tl.arange(0, N)[None, :, None], tl.arange(0, N)[None, None, :]
    X = tl.sum(tl.load(A + row * N + k) * tl.load(B + k * N + column), axis=2)
    tl.store(C + tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :], X)


@triton.jit
def unused(A, B, C, N: tl.constexpr):
    """A product that nobody reads, and next to nothing else."""
    place = tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :]
    tl.dot(tl.load(A + place), tl.load(B + place), input_precision="ieee")
    tl.store(C, 1.0)


@triton.jit
def mismatched(A, B, C, N: tl.constexpr):
    """Orders that do not fit."""
    X = tl.dot(tl.zeros((N, N), tl.float32), tl.zeros((2 * N, N), tl.float32))
    tl.store(C + tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :], X)


@triton.jit
def doubled(C, N: tl.constexpr):
    """A float64 product, which the compiler for gfx942 cannot translate and NVIDIA's does exactly."""
    X = tl.zeros((N, N), tl.float64)
    tl.store(C + tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :], tl.dot(X, X).to(tl.float32))


@triton.jit
def exchanging(A, C, BARRIER: tl.constexpr, N: tl.constexpr):
    """A <- C^T, after C <- A: a thread loads what others stored, and waits for them or does not."""
    row, column = tl.arange(0, N)[:, None], tl.arange(0, N)[None, :]
    tl.store(C + row * N + column, tl.load(A + row * N + column))
    if BARRIER:
        tl.debug_barrier()
    tl.store(A + row * N + column, tl.load(C + column * N + row))


def variant(kernel, precision="ieee", signature=POINTERS, *, warps=4, stages=1, products=True, barriers=0, **constants):
    """A variant named after its kernel."""
    chosen = Configuration(constants, warps, stages)
    aligned = tuple(signature)
    shown = "/".join([f"planted.{kernel.__name__}", precision, *map(str, constants.values())])
    return Variant(shown, kernel, signature, chosen, precision, products, aligned, barriers=barriers)


RIGHT = variant(right, N=16, PRECISION="ieee", warps=1)
RIGHT_HALF = variant(right, "half", HALF_POINTERS, N=64, PRECISION="ieee")
SPILLING = variant(spilling, N=32, warps=1, signature={**POINTERS, "steps": "i32"})
JOINED = variant(joined, N=64)
MISLABELLED = variant(right, N=16, PRECISION="tf32", warps=1)
ONE_FOR_THREE = variant(right, precision="tf32x3", N=16, PRECISION="tf32", warps=1)
GREEDY = variant(greedy, "half", {**HALF_POINTERS, "K": "i32"}, N=128, warps=8, stages=4)
NO_TENSOR_CORES = variant(by_sums, precision="tf32", N=16)
NOT_TF32 = variant(right, precision="tf32", N=16, PRECISION="ieee", warps=1)
UNUSED = variant(unused, N=16, warps=1)
MISMATCHED = variant(mismatched, N=16)
UNSUPPORTED = variant(doubled, N=16, signature={"C": "*fp32"})
HASTY, PATIENT = (
    variant(exchanging, signature={"A": "*fp32", "C": "*fp32"}, products=False, barriers=1, BARRIER=waits, N=64)
    for waits in (False, True)
)
EXACT_DOUBLE = variant(doubled, N=16, signature={"C": "*fp32"}, products=False)


TRAPPED_NVIDIA = variant(
    trapped,
    signature={"A": "*fp32", "C": "*fp32"},
    products=False,
    INSTRUCTION="trap; mov.b32 $0, $1;",
    REGISTERS="=r,r",
    N=128,
)
TRAPPED_AMD = variant(
    trapped,
    signature={"A": "*fp32", "C": "*fp32"},
    products=False,
    INSTRUCTION="s_trap 2\nv_mov_b32 $0, $1",
    REGISTERS="=v,v",
    N=128,
)
