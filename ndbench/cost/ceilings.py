"""What a device reaches at best, measured in the same run: bytes a second, and flops a second by precision."""

from dataclasses import dataclass

import torch
from torch import Tensor

from ndbench.cost.model import Cost
from ndbench.timing import interleaved

HALF = {"float16": torch.float16, "bfloat16": torch.bfloat16}
PRODUCTS = {"tf32x3": (3, "tf32")}
"""How many hardware products one product takes, and of which precision, where it is not one of its own."""


@dataclass(frozen=True)
class Ceilings:
    """Rates in units a second.

    Attributes:
        bytes: of a large copy, read plus written.
        flops: of a large matrix product, by how float32 is multiplied: "ieee", and "tf32" where there is another; on a
            GPU by the types of 16 bits too.
    """

    bytes: float
    flops: dict[str, float]

    def __post_init__(self) -> None:
        rates = (self.bytes, self.flops["ieee"], *self.flops.values())
        if not all(rate > 0 for rate in rates):
            raise ValueError(f"Ceilings: rates must be positive; got {self.bytes} and {self.flops}")

    def floor(self, flops: float, moved: float, precision: str) -> float:
        """Seconds below which no implementation can be: the longer of its arithmetic and its traffic."""
        count, unit = PRODUCTS.get(precision, (1, precision))
        return max(flops * count / self.flops[unit], moved / self.bytes)


def floor_of(sides: tuple[Cost, Cost], ceilings: Ceilings) -> float:
    """Seconds below which forward and backward, one after the other, cannot be: a floor, no prediction of a time."""
    return sum(ceilings.floor(cost.flops, cost.moved, "ieee") for cost in sides)


def measured(device: str, rounds: int = 10) -> Ceilings:
    """Measure the rates on a device; on the CPU float32 is multiplied in one way, and nothing else is."""
    on_gpu = device == "cuda"
    n, size = (8192, 2**28) if on_gpu else (1024, 2**24)
    source, target = (torch.randn(size, device=device) for _ in range(2))
    A, B = (torch.randn(n, n, device=device) for _ in range(2))
    copy = interleaved({"copy": lambda: target.copy_(source)}, device, rounds)["copy"].typical
    ways = ("ieee", "tf32", *HALF) if on_gpu else ("ieee",)
    flops = {precision: 2 * n**3 / _product(A, B, precision, device, rounds) for precision in ways}
    return Ceilings(bytes=2 * source.nbytes / copy, flops={"tf32": flops["ieee"], **flops})


def _product(A: Tensor, B: Tensor, precision: str, device: str, rounds: int) -> float:
    A, B = (M.to(HALF.get(precision, M.dtype)) for M in (A, B))
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        return interleaved({"product": lambda: A @ B}, device, rounds)["product"].typical
    finally:
        torch.set_float32_matmul_precision(before)
