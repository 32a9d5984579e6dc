"""Deconvolution end to end: statistics of the input, the deconvolution matrix, and the layer they are folded into."""

from typing import NoReturn

import torch
from torch import Tensor
from torch.nn import functional

from ndbench.covariance.patches import Pair, pair
from ndbench.operations.covariance import patch_covariance
from ndbench.operations.deconvolution import deconvolve
from ndbench.operations.definite import FLOATS
from ndbench.operations.roots import inverse_sqrt

CONV2D, LINEAR = "deconvolved_conv2d", "deconvolved_linear"


def deconvolved_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    stride: Pair = 1,
    padding: Pair = 0,
    dilation: Pair = 1,
    groups: int = 1,
    block: int | None = None,
    pooled: bool | None = None,
    grouping: str = "channel",
    eps: float = 1e-5,
    sampling_stride: Pair = 1,
    method: str = "newton_schulz",
    steps: int = 5,
    lower: float = 1e-4,
    scaled_steps: int | None = None,
    correction: bool = True,
    algorithm: str = "auto",
    adjoint: str = "auto",
    root_adjoint: str = "auto",
    check: bool = True,
) -> Tensor:
    """Convolution of patches that are first whitened by the statistics of this very batch.

    With mean and covariance of the input's patches, a block of rows X is convolved as

        D = (cov + eps I)^(-1/2),    y = b + (X - 1 mean) D w,

    where D and mean are folded into the weight. Since they depend on x, the gradient with respect to x is

        dL/dx = (part of x in X) + (part of x in mean, cov and D),

    whose second part is the first-order correction term of Eq. 4. `correction=False` leaves it out, as methods do that
    detach their statistics. Gradients with respect to weight and bias do not depend on it.

    Args:
        x: input, shape (N, C, H, W), float64, float32, float16 or bfloat16.
        weight: shape (O, C / groups, kh, kw), of x's type, as is the bias.
        bias: shape (O,), or None for zero.
        stride: of the convolution, an integer or a pair, as are the next two.
        padding: zeros added at both ends of each axis. As in the published code they are part of the patches, and
            their statistics; inside the convolution they count as zeros before whitening.
        dilation: distance between neighbouring pixels of a patch.
        groups: of the convolution.
        block: channels whitened together; they must divide the C / groups channels of a group, and are all of them if
            None.
        pooled: whether all blocks share mean and D. None means yes for one group and no for more, as published.
        grouping: "channel" or "interleaved", as in `patch_covariance`; "interleaved" for one group only.
        eps: added to the diagonal of the covariance.
        sampling_stride: distance of the patches that are counted in the statistics, whatever the convolution's stride.
            1 counts all; the published code takes 3 times the convolution's stride.
        method: of the inverse square root, as are steps, lower and scaled_steps: see `inverse_sqrt`.
        steps: iterations T.
        lower: minimax only.
        scaled_steps: "denman_beavers" only.
        correction: whether the gradient passes through mean and D.
        algorithm: of the covariance, see `patch_covariance`, as is adjoint.
        adjoint: how the covariance is differentiated.
        root_adjoint: how the inverse square root is, the `adjoint` of `inverse_sqrt`.
        check: whether the covariance is validated before it is inverted; see `inverse_sqrt`.

    Returns:
        shape (N, O, Ho, Wo), of x's type. Statistics of float16 and bfloat16 are computed in float32, and folded
        before they are rounded.

    Raises:
        TypeError: if a tensor is not real floating point, the types differ, or a size is not an integer.
        ValueError: as `patch_covariance`, `inverse_sqrt` and `deconvolve`; or if the groups do not divide the channels
            or the outputs, the block does not divide the channels of a group, or blocks of several groups are
            interleaved.

    Example:
        >>> import torch
        >>> from ndbench.operations.layer import deconvolved_conv2d
        >>> x = torch.randn(8, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) + 5
        >>> weight = torch.eye(8, dtype=torch.float64).view(8, 2, 2, 2)
        >>> y = deconvolved_conv2d(x, weight, method="spectral")  # the whitened patches themselves
        >>> torch.allclose(torch.cov(y.movedim(1, 0).flatten(1), correction=0), torch.eye(8).double(), atol=1e-3)
        True

    References:
        Ye et al., Network Deconvolution, ICLR 2020, Algorithm 1 and Eq. 4.
    """
    block = convolution_block(x, weight, bias, groups, block)
    sampling_stride = pair("sampling_stride", sampling_stride, least=1, operation=CONV2D)
    stride = pair("stride", stride, least=1, operation=CONV2D)
    padding = pair("padding", padding, least=0, operation=CONV2D)
    dilation = pair("dilation", dilation, least=1, operation=CONV2D)
    if grouping == "interleaved" and groups > 1:
        refuse(CONV2D, f'interleaved blocks spread over all {groups} groups; use grouping="channel"')
    mean, cov = patch_covariance(
        statistics_input(x, correction),
        weight.shape[2:],
        stride=sampling_stride,
        padding=padding,
        dilation=dilation,
        block=block,
        pooled=groups == 1 if pooled is None else pooled,
        grouping=grouping,
        eps=eps,
        algorithm=algorithm,
        adjoint=adjoint,
    )
    D = inverse_sqrt(
        cov,
        method=method,
        steps=steps,
        lower=lower,
        scaled_steps=scaled_steps,
        check=check,
        adjoint=root_adjoint,
    )
    weight, bias = folded(weight, bias, mean, D, grouping)
    return functional.conv2d(x, weight, bias, stride, padding, dilation, groups)


def deconvolved_linear(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    block: int | None = None,
    pooled: bool = True,
    grouping: str = "channel",
    eps: float = 1e-5,
    method: str = "newton_schulz",
    steps: int = 5,
    lower: float = 1e-4,
    scaled_steps: int | None = None,
    correction: bool = True,
    adjoint: str = "auto",
    root_adjoint: str = "auto",
    check: bool = True,
) -> Tensor:
    """Linear layer of features that are first whitened by the statistics of this very batch.

    With mean and covariance of the rows of x,

        D = (cov + eps I)^(-1/2),    y = b + (x - mean) D w,

    the convolution of :func:`deconvolved_conv2d` with a kernel of one pixel. All leading dimensions of x count as rows.

    Args:
        x: input, shape (..., C), float64, float32, float16 or bfloat16.
        weight: shape (O, C), of x's type, as is the bias.
        bias: shape (O,), or None for zero.
        block: features whitened together; they must divide C, and are all of them if None.
        pooled: whether all blocks share mean and D, as published.
        grouping: "channel" for blocks of neighbouring features; "interleaved" puts feature c into block
            c mod (C / block).
        eps: added to the diagonal of the covariance.
        method: of the inverse square root, as are steps, lower and scaled_steps: see `inverse_sqrt`.
        steps: iterations T.
        lower: minimax only.
        scaled_steps: "denman_beavers" only.
        correction: whether the gradient passes through mean and D, as in `deconvolved_conv2d`.
        adjoint: how the covariance is differentiated, see `patch_covariance`.
        root_adjoint: how the inverse square root is, the `adjoint` of `inverse_sqrt`.
        check: whether the covariance is validated before it is inverted; see `inverse_sqrt`.

    Returns:
        shape (..., O), of x's type; float16 and bfloat16 as in `deconvolved_conv2d`.

    Raises:
        TypeError: if a tensor is not real floating point, or the types differ.
        ValueError: if x and the weight differ in C, and as `patch_covariance`, `inverse_sqrt` and `deconvolve`.

    Example:
        >>> import torch
        >>> from ndbench.operations.layer import deconvolved_linear
        >>> x = torch.tensor([[1.0, 5.0], [3.0, 5.0], [1.0, 9.0], [3.0, 9.0]])  # standard deviations 1 and 2
        >>> deconvolved_linear(x, torch.eye(2), method="spectral", eps=0.0)
        tensor([[-1., -1.],
                [ 1., -1.],
                [-1.,  1.],
                [ 1.,  1.]])

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3.4 and Eq. 4.
    """
    check_tensors(LINEAR, x, weight, bias)
    if x.ndim < 2 or weight.ndim != 2 or x.shape[-1] != weight.shape[1]:
        refuse(LINEAR, f"x must be (..., C) and the weight (O, C); got {tuple(x.shape)} and {tuple(weight.shape)}")
    mean, cov = patch_covariance(
        statistics_input(x, correction).reshape(-1, x.shape[-1], 1, 1),
        1,
        block=block,
        pooled=pooled,
        grouping=grouping,
        eps=eps,
        adjoint=adjoint,
    )
    D = inverse_sqrt(
        cov,
        method=method,
        steps=steps,
        lower=lower,
        scaled_steps=scaled_steps,
        check=check,
        adjoint=root_adjoint,
    )
    return functional.linear(x, *folded(weight, bias, mean, D, grouping))


def statistics_input(x: Tensor, correction: bool) -> Tensor:
    """What mean and covariance are computed from, and through which no gradient passes without the correction."""
    x = x if correction else x.detach()
    return x.to(torch.promote_types(x.dtype, torch.float32))


def folded(weight: Tensor, bias: Tensor | None, mean: Tensor, D: Tensor, grouping: str) -> tuple[Tensor, Tensor]:
    """The weight and the bias that whiten, folded in the statistics' type and rounded once."""
    dtype = weight.dtype
    weight, bias = deconvolve(
        weight.to(D.dtype), None if bias is None else bias.to(D.dtype), mean, D, grouping=grouping
    )
    return weight.to(dtype), bias.to(dtype)


def convolution_block(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int, block: int | None) -> int:
    """Refuse a weight that does not fit; return the channels of a block, all of a group if None."""
    check_tensors(CONV2D, x, weight, bias)
    if x.ndim != 4 or weight.ndim != 4:
        refuse(CONV2D, f"x and weight must have four dimensions; got shapes {tuple(x.shape)} and {tuple(weight.shape)}")
    if isinstance(groups, bool) or not isinstance(groups, int):
        raise TypeError(f"{CONV2D}: groups must be an integer; got {groups!r}")
    if groups < 1 or weight.shape[1] * groups != x.shape[1]:
        refuse(
            CONV2D,
            f"the weight must have C / groups = {x.shape[1]} / {groups} channels; got shape {tuple(weight.shape)}",
        )
    if len(weight) % groups:
        refuse(CONV2D, f"the {groups} groups must divide the {len(weight)} outputs of the weight")
    if block is not None and (block < 1 or weight.shape[1] % block):
        refuse(CONV2D, f"block must divide the {weight.shape[1]} channels of a group; got {block}")
    return weight.shape[1] if block is None else block


def check_tensors(name: str, x: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Refuse anything but real floating-point tensors of one type."""
    for argument, tensor in {"x": x, "weight": weight, "bias": bias}.items():
        if tensor is None:
            continue
        if not isinstance(tensor, Tensor) or tensor.dtype not in FLOATS:
            found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"{name}: {argument} must be a real floating-point tensor; got {found}; convert it first")
        if tensor.dtype != x.dtype:
            raise TypeError(f"{name}: {argument} must have x's type {x.dtype}; got {tensor.dtype}; convert one")


def refuse(name: str, message: str) -> NoReturn:
    """Raise the ValueError of an argument that cannot be used."""
    raise ValueError(f"{name}: {message}")
