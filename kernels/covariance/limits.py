"""Sizes that the covariance kernels number by 32 bits."""

import math

from ndbench.covariance.patches import Patches

LARGEST = 2**31 - 2**11
"""Pixels, or patches, of one image: a chunk of 1024 more must not pass 2^31."""
MOST_IN_A_CLASS = math.isqrt(2**31 - 1)
"""Channels: the adjoint numbers the pairs of a class."""
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
        "channels in a class": (channels_in_a_class(channels, patches), MOST_IN_A_CLASS),
    }
    for what, (number, most) in found.items():
        if number > most:
            raise ValueError(
                f"{name}: Triton kernels take at most {most} {what}; got {number}; reduce the image, the padding, the "
                "kernel or the block, or use backend='torch'"
            )


def channels_in_a_class(channels: int, patches: Patches) -> int:
    """M of `ndbench.covariance.classes.Classes`."""
    groups = patches.groups(channels)
    return channels // groups * (math.gcd(patches.offsets, groups) if patches.grouping == "interleaved" else 1)
