"""Right answers that cost too much, each with the check that must catch it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ndbench.catalog import CATALOG, Implementation
from ndbench.operations import inverse_sqrt, patch_covariance
from ndbench.roots.precision import identity_like, scaled_to_unit_norm, unscaled

BASE = {(i.operation, i.name): i for i in CATALOG}
IM2COL, LAGGED = (BASE["covariance", name] for name in ("im2col", "lagged"))
SPECTRAL, NS5 = (BASE["inverse-sqrt", name] for name in ("spectral", "newton_schulz.T5"))

im2col = partial(patch_covariance, algorithm="im2col")
shifted = partial(patch_covariance, algorithm="shifted")
lagged = partial(patch_covariance, algorithm="lagged")

Covariance = tuple[Tensor, Tensor]


def repeated_k_times(x: Tensor, k: int, **how: Any) -> Covariance:
    return [im2col(x, k, **how) for _ in range(k)][-1]


def a_root_of_k_times(x: Tensor, k: int, **how: Any) -> Covariance:
    return [im2col(x, k, **how) for _ in range(round(k**0.75))][-1]


def once_for_each_offset(x: Tensor, k: int, **how: Any) -> Covariance:
    """The rows of one offset from each of k^2 covariances."""
    found = [im2col(x, k, **how) for _ in range(k * k)]
    K = k * k
    cov = torch.empty_like(found[0][1])
    for t, (_, one) in enumerate(found):
        cov[..., t::K, :] = one[..., t::K, :]
    return found[0][0], cov


def all_channels_then_cut(x: Tensor, k: int, block: int, **how: Any) -> Covariance:
    """The covariance of all channels, of which the blocks are cut: G times C / G times the flops."""
    mean, cov = im2col(x, k, **how)
    F = block * k * k
    means = mean.view(-1, F)
    within = torch.stack([cov[i : i + F, i : i + F] for i in range(0, len(cov), F)])
    apart = means - means.mean(0)
    return means.mean(0), within.mean(0) + apart.mT @ apart / len(apart)


def once_for_each_channel_of_a_block(x: Tensor, k: int, block: int, **how: Any) -> Covariance:
    return [im2col(x, k, block=block, **how) for _ in range(block)][-1]


def once_for_each_row(x: Tensor, k: int, **how: Any) -> Covariance:
    return [im2col(x, k, **how) for _ in range(x.shape[2])][-1]


def lagged_image_by_image(x: Tensor, k: int, **how: Any) -> Covariance:
    """What can be assembled once is assembled for each image."""
    found = [lagged(image[None], k, **how) for image in x]
    means, covs = (torch.stack(parts) for parts in zip(*found, strict=True))
    apart = means - means.mean(0)
    return means.mean(0), covs.mean(0) + apart.mT @ apart / len(x)


def lagged_with_a_border_multiplied_again(x: Tensor, k: int, **how: Any) -> Covariance:
    """For each image about as many products as the border has fewer than the interior."""
    _hidden = [edge @ edge.mT for image in x for edge in [image[:, :k].flatten(1)] * (k**2 - 1)]
    return lagged(x, k, **how)


def lagged_assembled_twice(x: Tensor, k: int, **how: Any) -> Covariance:
    """Once more for an image of one patch, where there is little else to do."""
    _hidden = lagged(x[:1, :, :k, :k], k, **how)
    return lagged(x, k, **how)


def lagged_twice_for_large_kernels(x: Tensor, k: int, **how: Any) -> Covariance:
    return [lagged(x, k, **how) for _ in range(1 + (k > 2))][-1]


def lagged_with_a_patch_matrix(x: Tensor, k: int, **how: Any) -> Covariance:
    _hidden = torch.nn.functional.unfold(x, k, padding=how["padding"])
    return lagged(x, k, **how)


def lagged_beside(values: Callable[..., int]) -> Callable[..., Covariance]:
    """So many hidden values."""

    def function(x: Tensor, k: int, block: int, **how: Any) -> Covariance:
        _hidden = torch.empty(values(x, k, block))
        return lagged(x, k, block=block, **how)

    return function


def spectral_beside_a_cube(A: Tensor) -> Tensor:
    _hidden = torch.empty(A.shape[-1] ** 3)
    return inverse_sqrt(A, method="spectral")


def newton_schulz_beside_copies(A: Tensor) -> Tensor:
    _hidden = torch.empty(50, *A.shape)
    return inverse_sqrt(A)


def a_product_for_each_column(A: Tensor) -> Tensor:
    """D = D I, column by column, and a whole product for each."""
    D, eye = inverse_sqrt(A, method="spectral"), identity_like(A)
    return torch.stack([(D @ eye)[..., j] for j in range(A.shape[-1])], -1)


def newton_schulz(A: Tensor, steps: int = 5) -> Tensor:
    """As printed, with Z_0 = I multiplied and Y_T computed: 3T products."""
    eye = identity_like(A)
    Y, c = scaled_to_unit_norm(A)
    Z = eye.expand_as(A)
    for _ in range(steps):
        S = (3 * eye - Z @ Y) / 2
        Y, Z = Y @ S, S @ Z
    return unscaled(Z, c)


def newton_schulz_from_the_start(A: Tensor, steps: int = 5) -> Tensor:
    """Every step computes all steps before it anew."""
    return [inverse_sqrt(A, steps=k) for k in range(1, steps + 1)][-1]


@dataclass(frozen=True)
class Sabotage:
    """A right answer at too high a cost, the check that must catch it, and what grows in the family that shows it."""

    name: str
    check: str
    family: str
    right: Implementation
    function: Callable[..., Any]

    @property
    def implementation(self) -> Implementation:
        return replace(self.right, name=f"sabotaged: {self.name}", function=self.function)

    def __str__(self) -> str:
        return self.name


SABOTAGE = (
    Sabotage("im2col k times", "scaling-flops", "k", IM2COL, repeated_k_times),
    Sabotage("im2col k times, per pixel", "scaling-interior", "k", IM2COL, repeated_k_times),
    Sabotage("im2col k^(3/4) times", "scaling-flops", "k", IM2COL, a_root_of_k_times),
    Sabotage("im2col for each offset", "scaling-interior", "k", IM2COL, once_for_each_offset),
    Sabotage("all channels, then cut", "scaling-flops", "C", IM2COL, all_channels_then_cut),
    Sabotage("once for each channel of a block", "scaling-flops", "G", IM2COL, once_for_each_channel_of_a_block),
    Sabotage("once for each row", "scaling-flops", "side", IM2COL, once_for_each_row),
    Sabotage("pairs of offsets claimed to be lags", "scaling-interior", "k", LAGGED, shifted),
    Sabotage("lags twice for large kernels", "scaling-interior", "k", LAGGED, lagged_twice_for_large_kernels),
    Sabotage("lags assembled for each image", "scaling-borders", "k", LAGGED, lagged_image_by_image),
    Sabotage("a border multiplied again", "scaling-borders", "k", LAGGED, lagged_with_a_border_multiplied_again),
    Sabotage("assembled twice", "scaling-borders", "k", LAGGED, lagged_assembled_twice),
    Sabotage("lags beside a patch matrix", "scaling-memory", "k", LAGGED, lagged_with_a_patch_matrix),
    Sabotage("memory times H", "scaling-memory", "side", LAGGED, lagged_beside(lambda x, k, G: x.numel() * x.shape[2])),
    Sabotage("memory times G", "scaling-memory", "G", LAGGED, lagged_beside(lambda x, k, G: x.numel() * G)),
    Sabotage("memory times C", "scaling-memory", "C", LAGGED, lagged_beside(lambda x, k, G: x.numel() * x.shape[1])),
    Sabotage("memory times k", "scaling-memory", "k", LAGGED, lagged_beside(lambda x, k, G: x.numel() * k)),
    Sabotage("100 copies", "scaling-memory", "side", LAGGED, lagged_beside(lambda x, k, G: 100 * x.numel())),
    Sabotage("a cube beside the root", "scaling-memory", "n", SPECTRAL, spectral_beside_a_cube),
    Sabotage("50 matrices beside the root", "scaling-memory", "n", NS5, newton_schulz_beside_copies),
    Sabotage("a product for each column", "scaling-flops", "n", SPECTRAL, a_product_for_each_column),
    Sabotage("3T products", "scaling-products", "n", NS5, newton_schulz),
    Sabotage("T^2 products", "scaling-products", "n", NS5, newton_schulz_from_the_start),
)
