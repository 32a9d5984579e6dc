"""Checks that only kernels need: what runs in parallel gives the same bits every time, at any order and address."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, bfloat16, float16, float32

from ndbench.catalog import Implementation
from ndbench.covariance_problems import CovarianceProblem
from ndbench.kernels.runtime import interpreted
from ndbench.problems import MatrixProblem
from ndbench.verify import covariance_answers, kernel_orders, kernel_sizes
from ndbench.verify.answers import question
from ndbench.verify.check import Check, Measurement
from ndbench.verify.gradients.suite import held_to_promises
from ndbench.verify.interpretation import overflow_checked
from ndbench.verify.kernel_orders import ORDERS
from ndbench.verify.verdict import NotRun

FAMILY = "kernel-"
RUNS = 20
STREAMS = 4
ROUNDS = 5
"""Times that all streams start together."""
HELD = 2 * 10**7
"""Cycles, some 10 ms, for which streams are held until all their work is waiting."""
FAR = 2**31
"""The first offset, in elements, that 32 bits cannot hold."""

Outputs = tuple[Tensor, ...]
Function = Callable[[Tensor], Outputs]


def is_kernel(implementation: Implementation) -> bool:
    """Whether Triton can interpret it."""
    return "interpreter" in implementation.devices


def repeatability(implementation: Implementation, problem: Any) -> Measurement:
    """Twenty runs give the same bits, values and gradients: measured is how many entries differ from the first.

    The interpreter runs programs one after the other, so there two runs tell as much, and one layout of images.

    Raises:
        NotRun: in the interpreter, for an entry whose kernels are judged by another one.
    """
    kernel_orders.require_own_kernels(implementation)
    function, x = posed(implementation, problem)
    if implementation.devices[0] == "interpreter":
        return Measurement(different(function(x), function(x)), 0.0)
    function = in_both_layouts(function)
    first = function(x)
    return Measurement(sum(different(function(x), first) for _ in range(RUNS - 1)), 0.0)


def streams(implementation: Implementation, problem: Any) -> Measurement:
    """On four CUDA streams at once every answer has the bits that it has alone; measured is how many entries differ.

    A function that checks values waits for its own stream, so what is run here is the one without checks. All streams
    wait for one event, recorded once everything is queued: the work of one would otherwise be done before the next is
    launched.

    Raises:
        NotRun: elsewhere than on a GPU.
    """
    if implementation.place != "cuda":
        raise NotRun("streams exist on a GPU only")
    function, x = posed(implementation.unchecked_only() if implementation.unchecked else implementation, problem)
    function = in_both_layouts(function)
    inputs = [x * 4.0**-k for k in range(STREAMS)]
    alone = [function(x) for x in inputs]
    torch.cuda.synchronize()
    lanes = [torch.cuda.Stream() for _ in inputs]  # type: ignore[no-untyped-call]
    found = [answer for _ in range(ROUNDS) for answer in _together(function, inputs, lanes)]
    return Measurement(sum(different(y, alone[i % STREAMS]) for i, y in enumerate(found)), 0.0)


def _together(function: Function, inputs: Sequence[Tensor], lanes: Sequence[torch.cuda.Stream]) -> list[Outputs]:
    """The answers, each computed on a stream of its own from one moment on."""
    torch.cuda._sleep(HELD)  # type: ignore[no-untyped-call]
    start = torch.cuda.current_stream().record_event()
    found = []
    for lane, x in zip(lanes, inputs, strict=True):
        lane.wait_event(start)
        with torch.cuda.stream(lane):
            found.append(function(x))
    torch.cuda.synchronize()
    return found


def offsets(implementation: Implementation, problem: Any) -> Measurement:
    """Two items 2^31 elements apart give the bits of neighbours; measured is how many entries differ.

    Raises:
        NotRun: if there is not enough memory, or, in the interpreter, for an entry whose kernels are judged by another.
    """
    kernel_orders.require_own_kernels(implementation)
    function, x = posed(implementation, problem)
    x = x[:2].contiguous()
    try:
        storage = torch.empty(FAR + x[0].numel(), dtype=x.dtype, device=x.device)
    except RuntimeError as error:
        raise NotRun("there is no memory for 2^31 elements") from error
    far = storage.as_strided(x.shape, (FAR, *x.stride()[1:]))
    far.copy_(x)
    with overflow_checked(True) if interpreted() else nullcontext():
        found = function(far)
    differ = different(found, function(x))
    if x.is_cuda:
        # other processes judge on the same device
        del storage, far
        torch.cuda.empty_cache()
    return Measurement(differ, 0.0)


def posed(implementation: Implementation, problem: Any) -> tuple[Function, Tensor]:
    """Values and gradient as a function of the input of a problem, and that input."""
    if isinstance(problem, CovarianceProblem):
        arguments = problem.arguments()
        x = covariance_answers.question(problem)
        return _with_gradient(lambda x: covariance_answers.call(implementation, x, arguments)), x.to(
            implementation.place
        )
    return _with_gradient(lambda A: (implementation.function(A),)), question(problem).to(implementation.place)


def in_both_layouts(function: Function) -> Function:
    """The outputs for images as they are and as channels last, for which other kernels are launched."""

    def both(x: Tensor) -> Outputs:
        return (*function(x), *function(x.to(memory_format=torch.channels_last))) if x.dim() == 4 else function(x)

    return both


def different(found: Outputs, wanted: Outputs) -> float:
    """How many entries differ; NaN differs from everything."""
    return float(sum(int((y != z).sum()) for y, z in zip(found, wanted, strict=True)))


def _with_gradient(function: Function) -> Function:
    """The outputs alone, which read x where it lies, and again with the gradient of half the sum of their squares."""

    def both(x: Tensor) -> Outputs:
        with torch.no_grad():
            alone = function(x)
        leaf = x.detach().requires_grad_()
        found = function(leaf)
        (g,) = torch.autograd.grad(found, leaf, [y.detach() for y in found])
        return (*alone, *(y.detach() for y in found), g)

    return both


MATRICES = tuple(MatrixProblem("geometric", n, 1e2, dtype=dtype) for n in (12, 33, 144) for dtype in (float32, float16))
IMAGES = tuple(
    CovarianceProblem(2, 4, 9, 8, 3, padding=1, block=2, pooled=pooled, dtype=dtype)
    for pooled in (True, False)
    for dtype in (float32, float16)
)
MORE_MATRICES = (
    *(MatrixProblem("geometric", 27, 1e2, dtype=dtype) for dtype in kernel_sizes.TYPES),
    *(MatrixProblem("geometric", n, 1e2, dtype=bfloat16) for n in (12, 33, 144)),
    *kernel_sizes.MATRICES,
)
"""With these, the bits of every configuration of every kernel are judged."""
MORE_IMAGES = (
    *(replace(IMAGES[0], dtype=bfloat16, pooled=pooled) for pooled in (True, False)),
    *kernel_sizes.IMAGES,
)


def _checks(operation: str, problems: Sequence[Any], more: Sequence[Any]) -> tuple[Check, ...]:
    judges = {
        "repeatability": (repeatability, (*problems, *more)),
        "streams": (streams, (*problems, *more)),
        "offsets": (offsets, problems),
    }
    return tuple(_check(name, operation, judge, posed) for name, (judge, posed) in judges.items())


def _check(
    name: str, operation: str, judge: Callable[[Implementation, Any], Measurement], posed: Sequence[Any]
) -> Check:
    return Check(FAMILY + name, operation, judge, {"quick": posed, "full": posed}, is_kernel)


CHECKS = (
    Check(FAMILY + "orders", "inverse-sqrt", kernel_orders.value, ORDERS, is_kernel, patient=True),
    Check(
        FAMILY + "gradients", "inverse-sqrt", held_to_promises(kernel_orders.gradient), ORDERS, is_kernel, patient=True
    ),
    _check("sizes", "inverse-sqrt", kernel_sizes.value, kernel_sizes.MATRICES),
    _check("sizes-gradients", "inverse-sqrt", held_to_promises(kernel_sizes.root_gradient), kernel_sizes.MATRICES),
    _check("sizes", "covariance", kernel_sizes.patch_covariance, kernel_sizes.IMAGES),
    _check("sizes-gradients", "covariance", held_to_promises(kernel_sizes.covariance_gradient), kernel_sizes.IMAGES),
    *_checks("inverse-sqrt", MATRICES, MORE_MATRICES),
    *_checks("covariance", IMAGES, MORE_IMAGES),
)
