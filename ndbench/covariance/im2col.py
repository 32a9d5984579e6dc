"""The definition: the patch matrix, centered, times itself."""

from torch import Tensor
from torch.nn import functional

from ndbench.covariance.buffered import buffered, buffered_adjoint
from ndbench.covariance.channels_last import by_rows, by_rows_adjoint, has_runs
from ndbench.covariance.patches import Patches
from ndbench.products import unrecorded


def im2col(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the rows of the patch matrix.

    With M rows in the patch matrix X,

        mean = 1^T X / M,    cov = (X - 1 mean)^T (X - 1 mean) / M.

    X is centered before the product, so a large mean costs no accuracy. It takes 2 M F^2 flops and a patch matrix
    of k^2 times the input; on a CPU, where nothing is recorded, `buffered` takes few patches at a time.

    Args:
        x: input, shape (N, C, H, W).
        patches: which patches, and their blocks.

    Returns:
        mean (F,) and covariance (F, F) of pooled groups, or (G, F) and (G, F, F) of separate ones, in x's type.

    References:
        Ye et al., Network Deconvolution, ICLR 2020, Algorithm 1.
    """
    if unrecorded(x):
        return by_rows(x, patches) if has_runs(x, patches) else buffered(x, patches)
    X = patch_matrix(x, patches)
    M = X.shape[-2]
    mean = X.mean(-2)
    X = X - mean[..., None, :]
    return mean, X.mT @ X / M


def im2col_adjoint(x: Tensor, mean: Tensor, dmean: Tensor, dcov: Tensor, patches: Patches) -> Tensor:
    """Gradient with respect to x from those of mean and covariance.

    The centered rows add up to zero, so that the mean inside the covariance contributes nothing, and

        dX = 1 dmean / M + (X - 1 mean) (dcov + dcov^T) / M

    is folded: each pixel adds up the gradients of all the patches that hold it.

    Args:
        x: input, shape (N, C, H, W).
        mean: of the patches, as `im2col` returned it, (F,) or (G, F).
        dmean: gradient with respect to the mean, of its shape.
        dcov: gradient with respect to the covariance, (F, F) or (G, F, F); only its symmetric part counts.
        patches: which patches, and their blocks.

    Returns:
        gradient with respect to x, of its shape.
    """
    if unrecorded(x, mean, dmean, dcov):
        adjoint = by_rows_adjoint if has_runs(x, patches) else buffered_adjoint
        return adjoint(x, mean, dmean, dcov, patches)
    X = patch_matrix(x, patches) - mean[..., None, :]
    M = X.shape[-2]
    return image_of_rows(X @ ((dcov + dcov.mT) / M) + dmean[..., None, :] / M, x, patches)


def patch_matrix(x: Tensor, patches: Patches) -> Tensor:
    """The patch matrix X: one row a patch and group (M, F) if pooled, else (G, M, F)."""
    columns = functional.unfold(
        x, patches.kernel_size, dilation=patches.dilation, padding=patches.padding, stride=patches.stride
    )
    images, width, count = columns.shape
    groups = patches.groups(x.shape[1])
    if patches.grouping == "interleaved":
        X = columns.view(images, width // groups, groups, count).permute(2, 0, 3, 1)
    else:
        X = columns.view(images, groups, width // groups, count).permute(1, 0, 3, 2)
    return X.flatten(0, 2) if patches.pooled else X.flatten(1, 2)


def image_of_rows(X: Tensor, x: Tensor, patches: Patches) -> Tensor:
    """The transposed map of `patch_matrix`: pixels of x's shape, each the sum of its places in the patch matrix X."""
    images, channels = x.shape[:2]
    groups = patches.groups(channels)
    rows = X.reshape(groups, images, -1, X.shape[-1])
    columns = rows.permute(1, 3, 0, 2) if patches.grouping == "interleaved" else rows.permute(1, 0, 3, 2)
    return functional.fold(
        columns.reshape(images, channels * patches.offsets, -1),
        x.shape[2:],
        patches.kernel_size,
        dilation=patches.dilation,
        padding=patches.padding,
        stride=patches.stride,
    )
