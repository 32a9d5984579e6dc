"""The public patch covariance."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ndbench.covariance import Patches, im2col, lagged, shifted, windows
from ndbench.covariance.adjoint import differentiated
from ndbench.covariance.adjoint_pixels import lagged_adjoint, shifted_adjoint
from ndbench.covariance.choice import fastest
from ndbench.covariance.im2col import im2col_adjoint
from ndbench.covariance.patches import Pair
from ndbench.operations.backends import choose_backend, require_backend, require_no_precision
from ndbench.operations.definite import FLOATS

ALGORITHMS = {"im2col": im2col, "shifted": shifted, "lagged": lagged, "windows": windows}
KERNELS = ("im2col", "lagged")
"""Algorithms that Triton kernels serve."""
ADJOINTS = {"im2col": im2col_adjoint, "shifted": shifted_adjoint, "lagged": lagged_adjoint}
NAME = "patch_covariance"
EAGER = "patch_covariance plans its products in Python and checks values: it runs as it is between compiled graphs"


def patch_covariance(
    x: Tensor,
    kernel_size: Pair,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    block: int | None = None,
    pooled: bool = True,
    grouping: str = "channel",
    eps: float = 0.0,
    algorithm: str = "auto",
    adjoint: str = "auto",
    backend: str = "auto",
    precision: str | None = None,
) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the patches of a convolution's input.

    Row (n, q) of the patch matrix X holds the C kh kw values that the kernel sees at output position q of image n. Its
    columns are divided into G = C / block groups of F = block kh kw, and in each group, or with the rows of all groups
    stacked if pooled,

        mean = 1^T X / M,    cov = (X - 1 mean)^T (X - 1 mean) / M + eps I,

    with M = N Ho Wo rows, times G if pooled. For a grouped convolution choose a block that divides the channels of one
    group.

    Args:
        x: input, shape (N, C, H, W), float64, float32, float16 or bfloat16.
        kernel_size: of the convolution, an integer or a pair (kh, kw), as are the next three.
        stride: the sampling stride, the distance between the patches that are counted.
        padding: zeros added at both ends of each axis; they count as values.
        dilation: distance between neighbouring pixels of a patch.
        block: channels of a block, which must divide C; None for all channels in one block.
        pooled: whether all blocks share one mean and covariance.
        grouping: "channel" takes `block` consecutive channels with all their offsets, columns in the order (c, i, j)
            of `torch.nn.functional.unfold`. "interleaved" is what the published code does: column j of all C kh kw is
            number j // G of group j mod G, which for kernels above 1 mixes channels and offsets.
        eps: added to the diagonal.
        algorithm: "im2col" (the definition), "shifted" (one product for each pair of offsets), "lagged" (one for each
            lag, exactly symmetric), "windows" (numpy in float64, without gradient), or "auto". "auto" takes "lagged"
            if 2.4 flops(lagged) + 2700 N C H W + 5600 G F^2 + 1.4e7 pieces < flops(im2col) + 700 M F, else "im2col":
            `ndbench.covariance.choice` says where the factors come from. Of kernels it takes the one with fewer
            multiplications (`ndbench.kernels.covariance`).
        adjoint: how gradients are computed. "handwritten" keeps x and the mean only, and computes the gradient by the
            algorithm's adjoint; "autograd" records every operation of the algorithm. "auto" is "handwritten" except
            for "windows", which has neither: with "lagged" that is several times as fast as "autograd" in a fraction
            of its memory; "im2col" builds its patches a second time, so as not to keep k^2 times the input. Both have
            derivatives of any order, forward and reverse, and pass through the transforms of `torch.func`.
            `torch.compile` runs the operation as it is, between two graphs, so that with fullgraph=True it raises; a
            transform that is itself compiled, torch.compile(torch.func.grad(f)), ends in an AssertionError of PyTorch.
        backend: "torch"; "triton" for kernels of "im2col" and "lagged" in float32, float16 and bfloat16 on a GPU, which
            build no patch matrix, read x in any layout of memory, return exactly symmetric covariances, and have an
            adjoint of their own, for "auto" and "handwritten"; "auto" for "triton" wherever that is possible, and
            "torch" everywhere else. With kernels, forward mode and derivatives of derivatives are those of PyTorch's
            operations, and maps of `torch.func.vmap` raise.
        precision: of the float32 products of kernels: "ieee" (for None), "tf32x3" (three tf32 products for each, nearly
            as exact) or "tf32" (11 bits). A 16-bit x has one way, "ieee" or None: shifted in float32, and multiplied in
            tf32x3 on NVIDIA. PyTorch's own products follow `torch.set_float32_matmul_precision`, and the convolutions
            in its gradients `torch.backends.cudnn.allow_tf32`, which is true by default.

    Returns:
        mean (F,) and covariance (F, F) if pooled, else (G, F) and (G, F, F), of x's type. float16 and bfloat16 are
        computed in float32 and rounded once.

    Raises:
        TypeError: if x is not a real floating-point tensor, or not dense, or a size is not an integer.
        ValueError: if the shape is not (N, C, H, W) or holds no patch, the block does not divide C, another argument
            is out of its range, or x is on the CPU and holds NaN or infinity. On other devices the check would
            synchronize, so there NaN passes through to the result.

    Example:
        >>> import torch, ndbench
        >>> x = torch.tensor([[[[0.0, 4.0, 4.0, 4.0, 0.0]]]])  # patches (0, 4), (4, 4), (4, 4) and (4, 0)
        >>> ndbench.patch_covariance(x, (1, 2))
        (tensor([3., 3.]), tensor([[ 3., -1.],
                [-1.,  3.]]))

    References:
        Ye et al., Network Deconvolution, ICLR 2020, Algorithm 1 and sections 3.4 and 3.5.
    """
    require_backend(backend, NAME)
    if algorithm != "auto" and algorithm not in ALGORITHMS:
        raise ValueError(
            f"patch_covariance: algorithm must be auto or one of {', '.join(ALGORITHMS)}; got {algorithm!r}"
        )
    if adjoint not in ("auto", "autograd", "handwritten"):
        raise ValueError(f"patch_covariance: adjoint must be auto, autograd or handwritten; got {adjoint!r}")
    if not 0 <= eps < math.inf:
        raise ValueError(f"patch_covariance: eps must be finite and not negative; got {eps}")
    patches = Patches.of(
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        block=block,
        pooled=pooled,
        grouping=grouping,
    )
    mean, cov = evaluate(x, patches, eps, Way(algorithm, adjoint, backend, precision))
    return mean, cov


@dataclass(frozen=True)
class Way:
    """How to compute: the last four arguments of :func:`patch_covariance`."""

    algorithm: str
    adjoint: str
    backend: str
    precision: str | None

    def obstacle(self) -> str:
        """Why no kernel can serve; empty if one can."""
        if self.algorithm not in ("auto", *KERNELS):
            return f"there is no Triton kernel for algorithm {self.algorithm!r}, only for {' and '.join(KERNELS)}"
        if self.adjoint == "autograd":
            return "Triton kernels have an adjoint of their own, adjoint='auto' or 'handwritten'; got 'autograd'"
        return ""


@torch.compiler.disable(reason=EAGER)  # type: ignore[no-untyped-call, untyped-decorator]
def evaluate(x: Tensor, patches: Patches, eps: float, way: Way) -> tuple[Tensor, Tensor]:
    """Mean and covariance plus eps I, in x's type."""
    check(x, patches)
    mean, cov = moments(x, patches, way)
    return mean.to(x.dtype), plus_identity(cov, eps).to(x.dtype)


def plus_identity(cov: Tensor, eps: float) -> Tensor:
    """Cov + eps I in one new matrix: the sum as it is written takes three."""
    found = torch.zeros_like(cov, memory_format=torch.contiguous_format)
    found.diagonal(dim1=-2, dim2=-1).fill_(eps)
    return found.add_(cov)


def moments(x: Tensor, patches: Patches, way: Way) -> tuple[Tensor, Tensor]:
    """Mean and covariance in float32 or better, of an input that is not checked."""
    if choose_backend(way.backend, x, NAME, way.obstacle()) == "triton":
        return compute_by_kernels(x, patches, way)
    require_no_precision(way.precision, NAME)
    return compute(x.to(torch.promote_types(x.dtype, torch.float32)), patches, way)


def adjoint_of(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches, way: Way) -> Tensor:
    """Gradient of :func:`moments` with respect to x, in its type, by hand-written adjoints."""
    if choose_backend(way.backend, x, NAME, way.obstacle()) == "triton":
        from ndbench.kernels.covariance.derivatives import adjoint_by_kernels  # noqa: PLC0415

        return adjoint_by_kernels(x, mean, dmean, dcov, patches, way.precision or "ieee")
    algorithm = fastest(tuple(x.shape), patches) if way.algorithm == "auto" else way.algorithm
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return ADJOINTS[algorithm](wide, mean, dmean, dcov, patches).to(x.dtype)


def compute_by_kernels(x: Tensor, patches: Patches, way: Way) -> tuple[Tensor, Tensor]:
    """Mean and covariance in float32, by kernels."""
    # Triton is loaded when it is first asked for
    from ndbench.kernels.covariance.derivatives import by_kernels  # noqa: PLC0415

    return by_kernels(x, patches, way.algorithm, way.precision or "ieee")


def compute(x: Tensor, patches: Patches, way: Way) -> tuple[Tensor, Tensor]:
    """Mean and covariance by the algorithm, differentiated as asked."""
    algorithm = fastest(tuple(x.shape), patches) if way.algorithm == "auto" else way.algorithm
    function = ALGORITHMS[algorithm]
    if algorithm in ADJOINTS and way.adjoint != "autograd":
        return differentiated(x, patches, function, ADJOINTS[algorithm])
    if way.adjoint == "handwritten":
        raise ValueError(
            f"patch_covariance: algorithm {algorithm!r} has no handwritten adjoint; choose one of {', '.join(ADJOINTS)}"
        )
    return function(x, patches)


def check(x: Tensor, patches: Patches) -> None:
    """Refuse an input that has no covariance."""
    if not isinstance(x, Tensor) or x.dtype not in FLOATS:
        found = x.dtype if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(
            "patch_covariance: x must be a real floating-point tensor (float64, float32, float16, bfloat16);"
            f" got {found}; convert it first"
        )
    if x.is_nested:
        raise TypeError("patch_covariance: x must be one tensor; got a nested one; pass its parts one by one")
    if x.layout != torch.strided:
        raise TypeError(f"patch_covariance: x must be dense; got layout {x.layout}; call to_dense() first")
    patches.check(x.shape)
    if x.device.type == "cpu":
        Finite.apply(x.detach())  # type: ignore[no-untyped-call]


class Finite(torch.autograd.Function):
    """The check of x's values. A function of its own, because maps over a batch cannot branch on values."""

    @staticmethod
    def forward(x: Tensor) -> Tensor:
        """Raise unless all of x is finite."""
        if not x.isfinite().all():
            bad = x.numel() - int(x.isfinite().sum())
            raise ValueError(f"patch_covariance: x must be finite; got {bad} NaN or infinite values of {x.numel()}")
        return x.new_empty(0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        """Nothing is kept: there is no gradient."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None], x: Tensor) -> tuple[Tensor, None]:
        """Check the whole batch at once."""
        return Finite.apply(x), None  # type: ignore[no-untyped-call]
