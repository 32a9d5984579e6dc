"""Sizes that the covariance kernels number by 32 bits."""

import math

from ndbench.covariance.patches import Patches

LARGEST = 2**31 - 2**11
"""Pixels, or patches, of one image: a chunk of 1024 more must not pass 2^31."""
FARTHEST = 2**30
"""Rows and columns of an image with its padding: `tiles.NOWHERE` lies beyond."""


def require_sizes(shape: tuple[int, int, int, int], patches: Patches, name: str) -> None:
    """Raise unless pixels, patches and columns can be numbered; addresses have 64 bits.

    Raises:
        ValueError: if they cannot.
    """
    _, channels, height, width = shape
    padded = [length + 2 * p for length, p in zip((height, width), patches.padding, strict=True)]
    found = {
        "pixels of an image": (height * width, LARGEST),
        "patches of an image": (math.prod(patches.output_size(height, width)), LARGEST),
        "rows or columns of a padded image": (max(padded), FARTHEST),
        "columns of the patch matrix": (channels * patches.offsets, 2**31 - 1),
    }
    for what, (number, most) in found.items():
        if number > most:
            raise ValueError(
                f"{name}: Triton kernels take at most {most} {what}; got {number}; reduce the image, the padding or "
                "the kernel, or use backend='torch'"
            )
