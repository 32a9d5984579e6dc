"""Products of two classes of channels, summed over many pixels without losing digits."""

from torch import Tensor

ROWS = 1024
"""Rows that one product adds up in its own type. Where many pixels are equal, errors of one sign grow with them."""


def summed_product(left: Tensor, right: Tensor) -> Tensor:
    """The sum over images and pixels of the products of all channels, (A, m, m) in float64.

    One product for each `ROWS` rows, and the sum of the products in float64.

    Args:
        left: the first class of channels at every image and pixel, (A, N, H, W, m).
        right: the second.
    """
    left, right = left.flatten(1, 3), right.flatten(1, 3)
    whole = left.shape[1] // ROWS * ROWS
    rest = (left[:, whole:].mT @ right[:, whole:]).double()
    if not whole:
        return rest
    A, _, m = left.shape
    left, right = (side[:, :whole].reshape(A, -1, ROWS, m) for side in (left, right))
    return rest + (left.mT @ right).double().sum(1)
