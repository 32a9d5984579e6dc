"""Real photographs, from the wheels of scikit-image and scikit-learn."""

from functools import cache

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

COLOR = ("astronaut", "chelsea", "coffee", "hubble_deep_field", "immunohistochemistry", "retina", "rocket")
GRAY = ("brick", "camera", "clock", "coins", "grass", "gravel", "moon", "page")
SCIKIT_LEARN = ("china", "flower")
PHOTOGRAPHS = COLOR + SCIKIT_LEARN + GRAY

LUMA = np.array([0.2126, 0.7152, 0.0722])
"""Weights of R, G, B in luma, ITU-R BT.709."""


class PhotographUnavailable(RuntimeError):
    """The package that carries a photograph is not installed."""


@cache
def photograph(name: str, *, gray: bool = False, size: int | None = None) -> Image:
    """One photograph, shape (C, H, W) with C = 3 (red, green, blue) or 1, values 0 to 255.

    Args:
        name: one of `PHOTOGRAPHS`.
        gray: luma instead of colour; the photographs in `GRAY` have no other.
        size: crop to the central size x size pixels; None keeps the whole.

    Raises:
        ValueError: if the name is unknown.
        PhotographUnavailable: if scikit-image, or scikit-learn, is not installed.
    """
    if name not in PHOTOGRAPHS:
        raise ValueError(f"photograph: name must be one of {', '.join(PHOTOGRAPHS)}; got {name!r}")
    pixels = _load(name)
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    elif gray:
        pixels = np.rint(pixels @ LUMA).astype(np.uint8)[..., None]
    image = np.ascontiguousarray(np.moveaxis(pixels, -1, 0))
    return image if size is None else _central(image, size)


def _load(name: str) -> Image:
    """The pixels as stored, shape (H, W) or (H, W, 3)."""
    package = "scikit-learn" if name in SCIKIT_LEARN else "scikit-image"
    try:
        if package == "scikit-learn":
            from sklearn.datasets import load_sample_image

            return np.asarray(load_sample_image(f"{name}.jpg"), dtype=np.uint8)
        import skimage.data

        return np.asarray(getattr(skimage.data, name)(), dtype=np.uint8)
    except ImportError as error:
        raise PhotographUnavailable(
            f"the photograph {name!r} comes with {package}, which cannot be imported ({error}); "
            "pip install 'ndbench[images]'"
        ) from error


def _central(image: Image, size: int) -> Image:
    _, height, width = image.shape
    if size > min(height, width):
        raise ValueError(f"photograph: size must be at most {min(height, width)} here; got {size}")
    top, left = (height - size) // 2, (width - size) // 2
    return image[:, top : top + size, left : left + size]
