"""What a model states: flops of products, flops of everything else that is large, and bytes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """The cost of one call, from shapes alone.

    Attributes:
        products: flops of matrix products and convolutions, exactly those that `ndbench.cost.counting.count` finds in
            a run; a multiplication and an addition are two.
        estimated: flops of factorizations and of scipy, which no counter sees: the leading term of the textbook's
            algorithm, without terms of lower order.
        moved: bytes that cannot be avoided: every input is read and every output written once.
    """

    products: int
    estimated: int = 0
    moved: int = 0

    @property
    def flops(self) -> int:
        """All of them."""
        return self.products + self.estimated

    @property
    def exact(self) -> bool:
        """Whether nothing is estimated."""
        return self.estimated == 0

    def __add__(self, other: "Cost") -> "Cost":
        """One after the other; what one writes and the other reads is moved twice."""
        return Cost(self.products + other.products, self.estimated + other.estimated, self.moved + other.moved)
