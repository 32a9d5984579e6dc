"""The public deconvolution: the whitening of patches folded into the weight that follows it."""

from typing import NoReturn

import torch
from torch import Tensor

from ndbench.covariance.patches import GROUPINGS
from ndbench.operations.definite import FLOATS


def deconvolve(
    weight: Tensor, bias: Tensor | None, mean: Tensor, D: Tensor, *, grouping: str = "channel"
) -> tuple[Tensor, Tensor]:
    """Fold mean and deconvolution matrix into a weight and a bias.

    A row p of patches has the blocks p_g. Whitening and then applying the blocks w_g of the weight is again one
    linear map of p,

        b + sum over g of ((p_g - mean_g) D_g) . w_g = b' + p . w',    w'_g = D_g w_g,    b' = b - mean . w',

    so a convolution costs no more than before. (Zeros of a convolution's padding are part of its patches.) Groups of a
    grouped convolution follow from the shapes: separate blocks hold C_in = G block channels, and the weight C_in /
    groups of them; a pooled D serves every block of every group. NaN and infinities pass through.

    Args:
        weight: of a convolution, (O, C_in / groups, kh, kw), or of a linear layer, (O, C_in), a kernel of one pixel.
        bias: (O,), or None for zero.
        mean: (F,) pooled or (G, F) separate, with F = block kh kw.
        D: (F, F) or (G, F, F); it multiplies rows from the right, and need not be symmetric.
        grouping: "channel" or "interleaved", as in `patch_covariance`. Interleaved blocks spread over all channels, so
            they fold into convolutions of one group only. A pooled D does not tell how many groups there are, and with
            "interleaved" it is taken to belong to one group.

    Returns:
        weight of the given shape and bias (O,), in the given type; float16 and bfloat16 are multiplied in float32 and
        rounded once.

    Raises:
        TypeError: if a tensor is not of a real floating-point type, or the types differ.
        ValueError: if shapes do not fit, devices differ, or the grouping is unknown or cannot be folded.

    Example:
        >>> import torch, ndbench
        >>> x = torch.randn(8, 2, 6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
        >>> mean, cov = ndbench.patch_covariance(x, 3, eps=1e-5)
        >>> D = ndbench.inverse_sqrt(cov, method="spectral")
        >>> filters = torch.eye(18, dtype=torch.float64).view(18, 2, 3, 3)
        >>> y = torch.conv2d(x, *ndbench.deconvolve(filters, None, mean, D))  # the whitened patches themselves
        >>> torch.allclose(ndbench.patch_covariance(y, 1)[1], torch.eye(18, dtype=torch.float64), atol=1e-2)
        True

    References:
        Ye et al., Network Deconvolution, ICLR 2020, section 3.4.
    """
    check_tensors(weight, bias, mean, D)
    groups = check_shapes(weight, bias, mean, D, grouping)
    dtype = torch.promote_types(weight.dtype, torch.float32)
    F, interleaved = D.shape[-1], grouping == "interleaved"
    w = blocks(weight.to(dtype).reshape(groups, len(weight) // groups, -1), F, interleaved)
    w = torch.einsum("gbef,gobf->gobe", D.to(dtype).reshape(groups, -1, F, F).expand(-1, w.shape[2], -1, -1), w)
    shift = (w * mean.to(dtype).reshape(groups, 1, -1, F)).sum((2, 3)).flatten()
    if interleaved:
        w = w.mT
    bias = -shift if bias is None else bias.to(dtype) - shift
    return w.reshape(weight.shape).to(weight.dtype), bias.to(weight.dtype)


def blocks(rows: Tensor, F: int, interleaved: bool) -> Tensor:
    """Columns cut into blocks, from (groups, O / groups, columns) to (groups, O / groups, blocks, F)."""
    if interleaved:
        return rows.reshape(*rows.shape[:2], F, -1).mT
    return rows.reshape(*rows.shape[:2], -1, F)


def check_tensors(weight: Tensor, bias: Tensor | None, mean: Tensor, D: Tensor) -> None:
    """Refuse anything but real floating-point tensors of one type on one device."""
    tensors = {"weight": weight, "mean": mean, "D": D} | ({} if bias is None else {"bias": bias})
    for name, tensor in tensors.items():
        if not isinstance(tensor, Tensor) or tensor.dtype not in FLOATS:
            found = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
            raise TypeError(f"deconvolve: {name} must be a real floating-point tensor; got {found}; convert it first")
        if tensor.dtype != weight.dtype:
            raise TypeError(
                f"deconvolve: {name} must have the weight's type {weight.dtype}; got {tensor.dtype}; convert one"
            )
        if tensor.device != weight.device:
            refuse(f"{name} must be on the weight's device {weight.device}; got {tensor.device}; move one of them")


def check_shapes(weight: Tensor, bias: Tensor | None, mean: Tensor, D: Tensor, grouping: str) -> int:
    """Refuse shapes that do not fit; return the groups of the convolution."""
    if grouping not in GROUPINGS:
        refuse(f"grouping must be one of {', '.join(GROUPINGS)}; got {grouping!r}")
    if weight.ndim not in (2, 4) or weight.numel() == 0:
        refuse(f"weight must have shape (O, C, kh, kw) or (O, C), and not be empty; got {tuple(weight.shape)}")
    if bias is not None and bias.shape != weight.shape[:1]:
        refuse(f"bias must have shape ({len(weight)},), one entry an output; got {tuple(bias.shape)}")
    if D.ndim not in (2, 3) or D.shape[-1] != D.shape[-2] or D.numel() == 0:
        refuse(f"D must have shape (F, F) or (G, F, F), and not be empty; got {tuple(D.shape)}")
    if mean.shape != D.shape[:-1]:
        refuse(f"mean must have shape {tuple(D.shape[:-1])} to go with D; got {tuple(mean.shape)}")
    return check_blocks(weight, D, grouping)


def check_blocks(weight: Tensor, D: Tensor, grouping: str) -> int:
    """Refuse blocks that do not divide the weight's columns; return the groups of the convolution."""
    F, columns, offsets = D.shape[-1], weight[0].numel(), weight[0, 0].numel()
    if F % offsets or columns % F:
        refuse(
            f"D's order must be a multiple of the kernel's {offsets} pixels and divide the {columns} columns of a row"
            f" of the weight; got {F}"
        )
    # a pooled D serves every group alike, so its groups need not be told apart
    groups, rest = (1, 0) if D.ndim == 2 else divmod(len(D) * F, columns)
    if rest or groups < 1 or len(weight) % groups:
        refuse(
            f"the {len(D)} blocks of order {F} must make up the {columns} columns of a row of the weight once for each"
            f" group of the convolution, and the groups must divide the {len(weight)} outputs; check the weight's shape"
        )
    if groups > 1 and grouping == "interleaved":
        refuse(
            f"interleaved blocks spread over all channels and cannot be folded into a convolution of {groups} groups;"
            ' use grouping="channel"'
        )
    return groups


def refuse(message: str) -> NoReturn:
    """Raise the ValueError of an argument that cannot be used."""
    raise ValueError(f"deconvolve: {message}")
