"""The definition: the patch matrix, centered, times itself."""

from torch import Tensor
from torch.nn import functional

from ndbench.covariance.patches import Patches


def im2col(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance of the rows of the patch matrix.

    With M rows in the patch matrix X,

        mean = 1^T X / M,    cov = (X - 1 mean)^T (X - 1 mean) / M.

    X is centered before the product, so a large mean costs no accuracy. It takes 2 M F^2 flops and a patch matrix
    of k^2 times the input.

    Args:
        x: input, shape (N, C, H, W).
        patches: which patches, and their blocks.

    Returns:
        mean (F,) and covariance (F, F) of pooled groups, or (G, F) and (G, F, F) of separate ones, in x's type.

    References:
        Ye et al., Network Deconvolution, ICLR 2020, Algorithm 1.
    """
    X = patch_matrix(x, patches)
    M = X.shape[-2]
    mean = X.mean(-2, keepdim=True)
    X = X - mean
    return mean.squeeze(-2), X.mT @ X / M


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
