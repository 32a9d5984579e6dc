"""What scaling checks allow, with reasons: flops by their power, and the lower orders that right algorithms need."""

import math

from ndbench.covariance_problems import CovarianceProblem
from ndbench.laws import PatchLaw, RootLaw

GROWTH = 2.0
"""How much flops may outgrow their law: of a symmetric product one triangle is needed, and the whole square allowed."""

MEMORY_GROWTH = 2.0
"""How much memory may outgrow its law: at one size a copy may be gone before the next is made, at another not."""

COPIES = 8
"""Copies of the input in float32 that any covariance may hold: x, centered, padded, and what is being computed of
them, each in float64, that is 2 copies each. `shifted` and `lagged` hold 7."""

COPIES_OF_A_KERNEL = 2.0
"""Copies of the input up to which a kernel's memory does not grow: its partial sums come in chunks, so that between two
images there may be none or one more."""

MATRICES = 8
"""Matrices that any root may hold beside those of its products: D, and those of an eigendecomposition, at most 6."""

MATRICES_OF_A_PRODUCT = 3
"""Matrices that a root may hold for each of its products: both operands and the result, kept for a gradient."""

TIME_EXCESS = 0.5
"""How far the whole interval of an exponent of time may lie above that of its reference: a hidden factor adds 1."""


def flops(law: PatchLaw, problem: CovarianceProblem) -> float:
    """2 C B p N Ho Wo + the lower orders of `once`: the most flops of an algorithm that keeps its law.

    p products for each output position are `PatchLaw.products`.
    """
    k, stride = _number(problem.kernel_size), _number(problem.stride)
    outputs = (problem.H + 2 * _number(problem.padding) - k) // stride + 1
    # a lag's pixels are those of the image, of which an even kernel has fewer than outputs
    positions = outputs**2 if law.flops == 4 or stride > 1 else problem.H * problem.W
    products = 2 * problem.C * (problem.block or problem.C) * law.products(k, stride)
    return problem.N * products * positions + once(law, problem)


def copies(law: PatchLaw, kernel_size: int) -> int:
    """Copies of the input that an algorithm may hold: `COPIES`, and the patch matrix before and after it is centered.

    The matrix has k^2 values for each one of the input: with it 8 + 2 k^2 copies, without 8.
    """
    return COPIES + (2 * kernel_size**2 if law.memory else 0)


def matrices(law: RootLaw) -> float:
    """Matrices of order n that a root may hold: 8 + 3 for each product claimed; without such a claim any number."""
    return math.inf if law.products is None else MATRICES + MATRICES_OF_A_PRODUCT * law.products


def once(law: PatchLaw, problem: CovarianceProblem) -> float:
    """Flops of a call whatever the number of images, in three parts, of which the last is for lags alone.

    Means and the shift's linear terms need the sums of y over the windows of all pairs of offsets, by contracting
    columns, then rows: 2 C k^2 H (W + k^2). The linear terms are three outer products for every pair of offsets, and
    pooling adds one of the blocks' means: C B (3 k^2 (k^2 + 1) + 2 k^4).

    With lags, each of the k - |D| pairs of a lag on one axis adds up the pieces inside its window: 2 (k - |D|) - 1 at
    most, because so many pieces lie between the ends of k - |D| windows. For both axes, and one of two opposite lags,
    that is C B (T^2 + T_0^2) with T = sum over D of (k - |D|) (2 (k - |D|) - 1) and T_0 its term at D = 0.
    """
    C, k, entries = problem.C, _number(problem.kernel_size), problem.C * (problem.block or problem.C)
    sums = 2 * C * k**2 * problem.H * (problem.W + k**2)
    linear = entries * (3 * k**2 * (k**2 + 1) + 2 * k**4)
    if law.flops == 4:
        return sums + linear
    terms = [(k - abs(lag)) * (2 * (k - abs(lag)) - 1) for lag in range(1 - k, k)]
    return sums + linear + entries * (sum(terms) ** 2 + terms[k - 1] ** 2)


def _number(value: int | tuple[int, int]) -> int:
    if isinstance(value, tuple):
        raise TypeError(f"scaling problems have square kernels, strides and paddings; got {value!r}")
    return value
