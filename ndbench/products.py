"""Matrix products by the faster of PyTorch's two libraries, where nothing follows them."""

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd import forward_ad

SMALLEST = 64
"""Order of the shortest side from which oneDNN is asked: below, calling it costs what it saves."""

PLAIN = (Tensor, torch.nn.Parameter, FakeTensor)
"""Types without behaviour of their own; fake tensors show what is done to real ones."""


def unrecorded(*tensors: Tensor) -> bool:
    """Whether the tensors lie on a CPU and no graph, tangent, map or compiler follows what is done to them."""
    if torch.compiler.is_compiling() or forward_ad._current_level >= 0:
        return False
    recording = torch.is_grad_enabled()
    return all(
        t.device.type == "cpu"
        and type(t) in PLAIN
        and not torch._C._functorch.is_functorch_wrapped_tensor(t)
        and not (recording and t.requires_grad)
        for t in tensors
    )


def product(left: Tensor, right: Tensor) -> Tensor:
    """The product left @ right of two matrices, or of batches of them.

    PyTorch multiplies float32 on x86 with MKL, and computes its convolutions with oneDNN, whose products are the faster
    ones on some processors (`python -m benchmarks.layers` has what a layer gains), and a little less exact: its sums
    run in another order. Its inner product has no derivative here, so it serves unrecorded matrices only.

    Args:
        left: shape (..., m, k).
        right: shape (..., k, n).

    Returns:
        shape (..., m, n).

    Example:
        >>> import torch
        >>> A = torch.eye(100)
        >>> torch.equal(product(A, 2 * A), 2 * A)
        True
    """
    if not served(left, right):
        return left @ right
    found: Tensor = torch.ops.mkldnn._linear_pointwise(dense(left), dense(right.mT), None, "none", [], "")
    return found


def dense(A: Tensor) -> Tensor:
    """A matrix without gaps in memory, copied if need be: with gaps oneDNN was seen to take 500 times as long."""
    return A if A.is_contiguous() or A.mT.is_contiguous() else A.contiguous()


def served(left: Tensor, right: Tensor) -> bool:
    """Whether oneDNN multiplies: two unrecorded float32 matrices that are large enough, where PyTorch has it."""
    return (
        left.ndim == right.ndim == 2
        and left.dtype == right.dtype == torch.float32
        and min(*left.shape, *right.shape) >= SMALLEST
        # first, since compilers cannot follow the others
        and unrecorded(left, right)
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
        and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    )
