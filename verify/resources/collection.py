"""Every variant of every kernel."""

from collections.abc import Iterator

from ndbench.kernels import covariance, denman_beavers, newton_schulz
from ndbench.kernels.variant import Variant

PACKAGES = (newton_schulz, denman_beavers, covariance)
"""The packages of kernels; each has `variants()`."""


def all_variants() -> Iterator[Variant]:
    """Every configuration of every kernel that may be launched."""
    for package in PACKAGES:
        yield from package.variants()
