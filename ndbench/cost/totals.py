"""What deconvolution costs in every layer of a network, and in all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ndbench.cost.geometry import Layer
from ndbench.cost.layer import algorithm_of, law, parts
from ndbench.cost.model import Cost
from ndbench.cost.sheet import Sheet, billions, share

BESIDE = ("covariance", "root", "folding")
"""Parts of a layer that a convolution does not have."""

COLUMNS = ("cov", "root", "fold", "all three", "conv", "of conv", "forward of conv", "of law", "")

MEANING = (
    "Gflop of a step of training, forward and backward; forward of conv: all three over the convolution, forward alone;"
    " of law: covariance and root, forward, over the paper's H W k^2 C B + (k^2 B)^3; ≈: factorizations in it are"
    " estimated"
)


@dataclass(frozen=True)
class Totals:
    """Of a step of training of some layers.

    Attributes:
        layers: how many.
        cheaper: in how many of them covariance, root and folding together take fewer flops than the convolution.
        parts: forward and backward of each part.
        law: flops of the paper's law, forward.
    """

    layers: int
    cheaper: int
    parts: dict[str, tuple[Cost, Cost]]
    law: int

    @classmethod
    def of(cls, layers: Sequence[Layer]) -> "Totals":
        """Those of these layers, one at least."""
        found = [parts(layer) for layer in layers]
        together = {
            name: (sum((one[name][0] for one in found), Cost(0)), sum((one[name][1] for one in found), Cost(0)))
            for name in found[0]
        }
        cheaper = sum(sum(flops(one[name]) for name in BESIDE) < flops(one["convolution"]) for one in found)
        return cls(len(layers), cheaper, together, sum(sum(law(layer)) for layer in layers))

    @property
    def beside(self) -> int:
        """Flops of covariance, root and folding."""
        return sum(flops(self.parts[name]) for name in BESIDE)

    @property
    def convolution(self) -> int:
        """Flops of the convolutions."""
        return flops(self.parts["convolution"])

    @property
    def exact(self) -> bool:
        """Whether nothing is estimated."""
        return all(cost.exact for sides in self.parts.values() for cost in sides)

    def forward(self, *names: str) -> int:
        """Flops of some parts, forward alone."""
        return sum(self.parts[name][0].flops for name in names)

    def record(self) -> dict[str, Any]:
        """Plain data: flops of each part."""
        sides = {name: {"forward": one.flops, "backward": other.flops} for name, (one, other) in self.parts.items()}
        return {"layers": self.layers, "cheaper": self.cheaper, "flops": sides, "law": self.law, "exact": self.exact}

    def cells(self) -> list[str]:
        """Of `COLUMNS`."""
        return [
            *(billions(flops(self.parts[name])) for name in BESIDE),
            billions(self.beside),
            billions(self.convolution),
            share(self.beside, self.convolution),
            share(self.forward(*BESIDE), self.forward("convolution")),
            share(self.forward("covariance", "root"), self.law),
            "=" if self.exact else "≈",
        ]


def flops(sides: tuple[Cost, Cost]) -> int:
    """Forward and backward together."""
    return sides[0].flops + sides[1].flops


def network_sheet(title: str, layers: Sequence[Layer]) -> Sheet:
    """One row a layer, and the totals."""
    columns = ["layer", "input", "kernel", "B", "F", "algorithm", *COLUMNS]
    total = Totals.of(layers)
    rows = [[*described(layer), *Totals.of([layer]).cells()] for layer in layers]
    cheaper = f"all three together take less than the convolution in {total.cheaper} of {total.layers} layers"
    rows.append(["total", *[""] * 5, *total.cells()])
    return Sheet(title, columns, rows, words=6, notes=[MEANING, cheaper])


def described(layer: Layer) -> list[str]:
    """The words of a layer's row."""
    conv = layer.convolution
    kernel = "x".join(map(str, conv.kernel_size)) + (f" /{conv.stride[0]}" if conv.stride[0] > 1 else "")
    size = "x".join(map(str, conv.shape[1:]))
    return [layer.name, size, kernel, str(layer.block), str(layer.order), algorithm_of(layer)]


def totals_sheet(combinations: Sequence[tuple[Sequence[str], Sequence[Layer]]]) -> Sheet:
    """One row for each network, input and setting."""
    columns = ["network", "input", "B", "sampling", "cheaper", *COLUMNS]
    found = [(words, Totals.of(layers)) for words, layers in combinations]
    rows = [[*words, f"{total.cheaper} of {total.layers}", *total.cells()] for words, total in found]
    cheaper = "cheaper: layers in which all three together take less than the convolution"
    return Sheet("deconvolution beside convolution", columns, rows, words=5, notes=[MEANING, cheaper])
