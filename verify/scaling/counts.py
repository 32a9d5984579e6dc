"""Flops that a call really executes, and the memory that it holds."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from ndbench.catalog import Implementation
from ndbench.cost.counting import NUMPY, Count, count, peak_memory
from ndbench.cost.covariance import im2col, lagged
from ndbench.cost.launches import beside_launches
from ndbench.covariance import Patches
from ndbench.covariance_problems import CovarianceProblem
from ndbench.kernels.runtime import interpreted
from ndbench.laws import PatchLaw
from ndbench.problems import MatrixProblem
from ndbench.verify import answers, covariance_answers
from ndbench.verify.kernels import is_kernel
from ndbench.verify.scaling.problems import InteriorScaling
from ndbench.verify.verdict import NotRun

Problem = CovarianceProblem | MatrixProblem


def call(implementation: Implementation, problem: Problem) -> Any:
    """A function without arguments that computes the answer; the input is made before."""
    if isinstance(problem, CovarianceProblem):
        x, arguments = covariance_answers.question(problem).to(implementation.place), problem.arguments()
        return lambda: covariance_answers.call(implementation, x, arguments)
    A = answers.question(problem).to(implementation.place)
    return lambda: implementation.function(A)


def flops(implementation: Implementation, problem: Problem) -> int:
    """Flops of the products of one call, nothing recorded.

    Raises:
        NotRun: for Triton kernels, whose products PyTorch's counter does not see.
    """
    return counted(implementation, problem).flops


@lru_cache(maxsize=1024)
def counted(implementation: Implementation, problem: Problem) -> Count:
    """The products of one call, nothing recorded.

    Raises:
        NotRun: for Triton kernels, whose products PyTorch's counter does not see.
    """
    if is_kernel(implementation):
        raise NotRun("PyTorch's counter sees no products of Triton kernels: scaling-launches judges them")
    with torch.no_grad():
        return count(call(implementation, problem))


def require_counted(found: int) -> None:
    """Refuse to judge work that the counter does not see.

    Raises:
        NotRun: if nothing was counted.
    """
    if not found:
        raise NotRun("its work is in no product that PyTorch's counter sees")


def require_recorded(implementation: Implementation, problem: Problem) -> None:
    """Refuse to judge memory that is in no record of PyTorch's, and let what is allocated once be allocated.

    What multiplies outside of PyTorch allocates there, too; Triton kernels take their memory from PyTorch.

    Raises:
        NotRun: where no product is counted, and for kernels on a CPU without the interpreter.
    """
    if not is_kernel(implementation):
        found = counted(implementation, problem)
        require_counted(found.flops)
        if found.flops == found.by_operator.get(NUMPY):
            raise NotRun("numpy's memory is in no record of PyTorch's")
    elif implementation.place != "cuda" and not interpreted():
        raise NotRun("on a CPU Triton's interpreter alone shows what a kernel asks for")
    else:
        memory(implementation, problem)


def memory(implementation: Implementation, problem: Problem) -> int:
    """The most bytes that one call holds at once, nothing recorded.

    Where kernels are interpreted it is what the call asks PyTorch for, by `ndbench.cost.launches`: nothing is launched,
    since the interpreter copies every argument, and answers without values are not checked.
    """
    with torch.no_grad():
        if is_kernel(implementation) and implementation.place != "cuda":
            asking = implementation.unchecked_only() if implementation.unchecked else implementation
            return beside_launches(call(asking, problem)).held
        return peak_memory(call(implementation, problem), implementation.place)


def parts(implementation: Implementation, problem: InteriorScaling, k: int) -> tuple[float, float, float]:
    """Flops of the interior for each output of an image, of the border of each image, and once a call.

    Raises:
        NotRun: if nothing is counted.
    """
    require_counted(flops(implementation, problem.at(k, 1, 0)))
    return parted(lambda one: flops(implementation, one), problem, k)


def parts_of_lags(problem: InteriorScaling, k: int) -> tuple[float, float, float]:
    """The same of the exact model of lags, `ndbench.cost.covariance.lagged`."""
    return parted(lambda one: claimed(PatchLaw(flops=2, memory=0), one), problem, k)


def claimed(law: PatchLaw, problem: CovarianceProblem) -> int:
    """Flops of the algorithm that a law is that of: of lags, or of the patch matrix times itself."""
    model = lagged if law.flops == 2 else im2col
    patches = Patches.of(
        problem.kernel_size, stride=problem.stride, padding=problem.padding, block=problem.block, pooled=problem.pooled
    )
    return model((problem.N, problem.C, problem.H, problem.W), patches).flops


def parted(
    count_of: Callable[[CovarianceProblem], int], problem: InteriorScaling, k: int
) -> tuple[float, float, float]:
    """Interior, border and the rest of some count.

    For s outputs along each axis and N images the flops of any algorithm made of products over windows are

        f(N, s) = N (I s^2 + b s + e) + O(s)

    once s exceeds what borders reach, so that differences give I and the rest exactly, whatever O is: with
    g(s) = f(2, s) - f(1, s),

        I = (g(s) - 2 g(s + 1) + g(s + 2)) / 2,    border = g(s) - I s^2,    O = f(1, s) - g(s).
    """
    one, two = ([count_of(problem.at(k, N, step)) for step in range(3)] for N in (1, 2))
    g = [b - a for a, b in zip(one, two, strict=True)]
    smallest = problem.at(k, 1, 0)
    outputs = (smallest.H + 2 * (k // 2) - k) // problem.stride(k) + 1
    interior = (g[0] - 2 * g[1] + g[2]) / 2
    return interior, g[0] - interior * outputs**2, one[0] - g[0]
