"""Mean and covariance by kernels, with their adjoint; every other derivative is that of PyTorch's operations."""

from typing import Any, NoReturn

from torch import Tensor
from torch.autograd import Function

from ndbench.covariance import lagged
from ndbench.covariance.adjoint import tangent
from ndbench.covariance.adjoint_pixels import lagged_adjoint
from ndbench.covariance.patches import Patches
from ndbench.derivatives import TensorMap, directional, smooth_call, transposed, zeros_for_none
from ndbench.kernels.covariance import algorithm_of
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.covariance.limits import require_sizes
from ndbench.kernels.precision import products_of_shifted, require_precision
from ndbench.kernels.runtime import launched_on, require_kernel_input

NAME = "patch_covariance"


def by_kernels(x: Tensor, patches: Patches, algorithm: str, precision: str) -> tuple[Tensor, Tensor]:
    """Mean and covariance in float32, without eps.

    Only x and the mean are kept for the gradient. Forward mode, and derivatives of derivatives, go through `lagged` of
    PyTorch's operations in float32.

    Args:
        x: input, shape (N, C, H, W), any strides, float32, float16 or bfloat16.
        patches: which patches, and their blocks.
        algorithm: "im2col", "lagged" or "auto".
        precision: of float32 products, "ieee", "tf32x3" or "tf32"; 16-bit x has one way (`products_of_shifted`).

    Raises:
        TypeError: for a type that kernels do not have, and for tensors that are not dense, or negated when they are
            read.
        ValueError: for a device that runs no kernels, a precision that the type does not have, and sizes that 32 bits
            cannot number (`limits`).
        NotImplementedError: for bfloat16 in the interpreter.
        RuntimeError: under torch.func.vmap, and for tables that are not on the device where a CUDA graph is captured.
    """
    require_kernel_input(x, NAME)
    require_precision(precision, x.dtype, NAME)
    images, channels, height, width = x.shape
    require_sizes((images, channels, height, width), patches, NAME)
    mean, cov = ByKernels.apply(x, patches, algorithm, products_of_shifted(x.dtype, precision))  # type: ignore[no-untyped-call]
    return mean, cov


def adjoint_by_kernels(
    x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches, precision: str
) -> Tensor:
    """The gradient of :func:`by_kernels`, which raises alike, with respect to x."""
    require_kernel_input(x, NAME)
    require_precision(precision, x.dtype, NAME)
    ways = products_of_shifted(x.dtype, precision)
    dx: Tensor = AdjointByKernels.apply(x, mean, dmean, dcov, patches, ways)  # type: ignore[no-untyped-call]
    return dx


class ByKernels(Function):
    """The function behind :func:`by_kernels`."""

    @staticmethod
    def forward(x: Tensor, patches: Patches, algorithm: str, precision: str) -> tuple[Tensor, Tensor]:
        """Mean and covariance."""
        with launched_on(x):
            return algorithm_of(algorithm, x, patches)(x, patches, precision)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, Tensor]) -> None:
        """Keep what the derivatives need."""
        x, ctx.patches, _, ctx.precision = inputs
        ctx.save_for_backward(x, output[0])
        ctx.save_for_forward(x, output[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None, None]:
        """The gradient with respect to x."""
        x, mean = ctx.saved_tensors
        dx = AdjointByKernels.apply(x, mean, *gradients, ctx.patches, ctx.precision)  # type: ignore[no-untyped-call]
        return dx, None, None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> tuple[Tensor, Tensor]:
        """The derivative in the direction of x's tangent."""
        x, _ = ctx.saved_tensors
        mean, cov = smooth_call(tangent_in_torch(ctx.patches), x, tangents[0])
        return mean, cov

    @staticmethod
    def vmap(*_: Any) -> NoReturn:
        """Refused."""
        refuse_vmap()


class AdjointByKernels(Function):
    """(x, mean, dmean, dcov) -> the gradient with respect to x."""

    @staticmethod
    def forward(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches, precision: str) -> Tensor:
        """By kernels."""
        with launched_on(x):
            return adjoint(x, mean, dmean, dcov, patches, precision=precision)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
        """Keep what the derivatives need."""
        *tensors, ctx.patches, _ = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """That of the same adjoint in PyTorch's operations."""
        at = ctx.saved_tensors
        return *smooth_call(transposed(in_torch(ctx.patches), len(at)), *at, gradient), None, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Any) -> Tensor:
        """That of the same adjoint in PyTorch's operations."""
        at = ctx.saved_tensors
        given = zeros_for_none(at, tangents[: len(at)])
        return smooth_call(directional(in_torch(ctx.patches), len(at)), *at, *given)[0]

    @staticmethod
    def vmap(*_: Any) -> NoReturn:
        """Refused."""
        refuse_vmap()


def tangent_in_torch(patches: Patches) -> TensorMap:
    """(x, dx) -> the derivative of mean and covariance, in float32."""
    return lambda x, dx: tangent(x.float(), dx.float(), patches, lagged)


def in_torch(patches: Patches) -> TensorMap:
    """The adjoint in PyTorch's operations, of x's type."""
    return lambda x, mean, dmean, dcov: (lagged_adjoint(x.float(), mean, dmean, dcov, patches).to(x.dtype),)


def refuse_vmap() -> NoReturn:
    """Raise for a map over a batch."""
    raise RuntimeError(f"{NAME}: Triton kernels do not map over a batch with torch.func.vmap; use backend='torch'")
