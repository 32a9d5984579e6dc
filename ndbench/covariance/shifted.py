"""No patch matrix: one product for each pair of offsets, of two shifted views of the padded input."""

import torch
from torch import Tensor
from torch.nn import functional

from ndbench.covariance.assembly import accumulate, covariance
from ndbench.covariance.classes import Classes
from ndbench.covariance.patches import Patches
from ndbench.covariance.products import summed_product


def shifted(x: Tensor, patches: Patches) -> tuple[Tensor, Tensor]:
    """Mean and covariance of patches from the products of shifted views.

    With y = x - s_c inside the image and 0 outside, and y_t the view of y at the offset t of every patch,

        S[(c, t), (c', t')] = sum over images and patches of y_t[c] y_t'[c'],    t <= t',

    and the shift's effect on the padding is added in closed form. It takes M F (F + B) flops. As in `lagged`, products
    are centered by channel, not by column.

    Args:
        x: input, shape (N, C, H, W), float32 or float64.
        patches: which patches, and their blocks.

    Returns:
        mean (F,) and covariance (F, F) of pooled groups, or (G, F) and (G, F, F) of separate ones, in x's type.
    """
    classes = Classes.of(patches, x.shape[1], x.device)
    K = patches.offsets
    pairs = [(t, u) for t in range(K) for u in range(t, K) if classes.meets[u - t]]

    def products(y: Tensor) -> Tensor:
        views = offset_views(y, patches)
        return torch.stack([summed_product(views[t], classes.partners(views[u], u - t)) for t, u in pairs])

    sums = accumulate(x, classes, products)
    mean, cov = covariance(sums.products, torch.tensor(pairs, device=x.device).T, sums, classes, patches)
    return mean.to(x.dtype), cov.to(x.dtype)


def offset_views(y: Tensor, patches: Patches) -> list[Tensor]:
    """The pixels at each offset of every patch, views (A, N, Ho, Wo, m) of the padded y (A, N, H, W, m)."""
    (kh, kw), (dh, dw), (sh, sw), (ph, pw) = patches.kernel_size, patches.dilation, patches.stride, patches.padding
    height, width = patches.output_size(y.shape[2], y.shape[3])
    padded = functional.pad(y, (0, 0, pw, pw, ph, ph))
    return [
        padded[:, :, dh * i : dh * i + sh * (height - 1) + 1 : sh, dw * j : dw * j + sw * (width - 1) + 1 : sw]
        for i in range(kh)
        for j in range(kw)
    ]
