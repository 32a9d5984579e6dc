"""What an implementation claims to cost: the powers with which its flops and its memory grow."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PatchLaw:
    """The claim of a patch covariance: N Ho Wo C B p(k) flops times a constant, and so much memory.

    Attributes:
        flops: 4 for an algorithm that multiplies every pair of offsets, p = k^4; 2 for one that multiplies every pair
            of pixels once, whichever pairs of offsets need it.
        memory: the power of k in the memory for each value of the input: 2 with a patch matrix, 0 without.
    """

    flops: int
    memory: int

    def __post_init__(self) -> None:
        if self.flops not in (2, 4):
            raise ValueError(f"PatchLaw: flops must be the power of k, 2 or 4; got {self.flops!r}")
        if self.memory not in (0, 2):
            raise ValueError(f"PatchLaw: memory must be the power of k, 0 or 2; got {self.memory!r}")

    def __str__(self) -> str:
        return f"H W C G k^{self.flops}"

    def products(self, kernel_size: int, stride: int = 1) -> int:
        """Products p of two channels for each output position, away from the border.

        There are k^4 pairs of offsets. Those of one lag D on an axis, k - |D| of them, meet the same pixels if they
        agree modulo the stride s, so min(s, k - |D|) products are left; of two opposite lags one is enough:

            p = (S^2 + min(s, k)^2) / 2,    S = sum over |D| < k of min(s, k - |D|),

        which is ((2k - 1)^2 + 1) / 2 for s = 1, and k^2 (k^2 + 1) / 2 for s >= k.

        Example:
            >>> lags = PatchLaw(flops=2, memory=0)
            >>> [lags.products(k) for k in (1, 3, 5, 7)]
            [1, 13, 41, 85]
            >>> [lags.products(3, stride=s) for s in (1, 2, 3)]
            [13, 34, 45]
            >>> PatchLaw(flops=4, memory=2).products(3)
            81
        """
        k, s = kernel_size, stride
        if self.flops == 4:
            return k**4
        total = sum(min(s, k - abs(lag)) for lag in range(1 - k, k))
        return (total**2 + min(s, k) ** 2) // 2


@dataclass(frozen=True)
class RootLaw:
    """The claim of an inverse square root: n^3 flops times a constant.

    Attributes:
        products: the most products of two n x n matrices, 2 n^3 flops each, that it takes; None if it does not say.
    """

    products: int | None = None

    def __post_init__(self) -> None:
        if self.products is not None and self.products < 0:
            raise ValueError(f"RootLaw: products must not be negative; got {self.products!r}")

    def __str__(self) -> str:
        return "n^3"


Law = PatchLaw | RootLaw

DEFINITIONS: dict[str, Law] = {"covariance": PatchLaw(flops=4, memory=2), "inverse-sqrt": RootLaw()}
"""What an implementation is held to that claims nothing better: the patch matrix times itself, and a cube."""
