"""What deconvolution costs in every layer of a network, and in all of them together."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ndbench.cost.ceilings import Ceilings, floor_of
from ndbench.cost.footprints import FOOTPRINT, MEANING_OF_FOOTPRINTS, Sides, footprint_cells
from ndbench.cost.geometry import Layer
from ndbench.cost.layer import algorithm_of, law, parts
from ndbench.cost.model import Cost
from ndbench.cost.sheet import Sheet, billions, megabytes, share

BESIDE = ("covariance", "root", "folding")
"""Parts of a layer that a convolution does not have."""

COLUMNS = ("cov", "root", "fold", "all three", "conv", "of conv", "forward of conv", "of law", "")

FLOORS = ("all three, ms", "conv, ms")

FLOOR = (
    "ms: below which, at the rates measured, they cannot be, forward and backward: the roofline of each part in turn"
)

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
        floors: seconds below which each part cannot be; empty where no rates are known.
    """

    layers: int
    cheaper: int
    parts: dict[str, tuple[Cost, Cost]]
    law: int
    floors: dict[str, float]

    @classmethod
    def of(cls, layers: Sequence[Layer], ceilings: Ceilings | None = None) -> "Totals":
        """Those of these layers, one at least."""
        found = [parts(layer) for layer in layers]
        together = {
            name: (sum((one[name][0] for one in found), Cost(0)), sum((one[name][1] for one in found), Cost(0)))
            for name in found[0]
        }
        cheaper = sum(sum(flops(one[name]) for name in BESIDE) < flops(one["convolution"]) for one in found)
        floors = {name: sum(floor_of(one[name], ceilings) for one in found) for name in found[0]} if ceilings else {}
        return cls(len(layers), cheaper, together, sum(sum(law(layer)) for layer in layers), floors)

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
        """Plain data: flops and bytes of each part, and its floor in seconds where rates are known."""
        sides = {name: {"forward": one.flops, "backward": other.flops} for name, (one, other) in self.parts.items()}
        moved = {name: {"forward": one.moved, "backward": other.moved} for name, (one, other) in self.parts.items()}
        return {
            "layers": self.layers,
            "cheaper": self.cheaper,
            "flops": sides,
            "bytes": moved,
            "law": self.law,
            "exact": self.exact,
            **({"floor": self.floors} if self.floors else {}),
        }

    def cells(self) -> list[str]:
        """Of `COLUMNS`, and of `FLOORS` where rates are known."""
        seconds = [sum(self.floors[name] for name in BESIDE), self.floors["convolution"]] if self.floors else []
        return [
            *(billions(flops(self.parts[name])) for name in BESIDE),
            billions(self.beside),
            billions(self.convolution),
            share(self.beside, self.convolution),
            share(self.forward(*BESIDE), self.forward("convolution")),
            share(self.forward("covariance", "root"), self.law),
            "=" if self.exact else "≈",
            *(f"{1e3 * second:.3g}" for second in seconds),
        ]


def flops(sides: tuple[Cost, Cost]) -> int:
    """Forward and backward together."""
    return sides[0].flops + sides[1].flops


def network_sheet(
    title: str, layers: Sequence[Layer], taken: Sequence[Sides | None] | None = None, ceilings: Ceilings | None = None
) -> Sheet:
    """One row a layer, and the totals; the footprints of whole layers if they were taken."""
    columns = ["layer", "input", "kernel", "B", "F", "algorithm", *columns_of(ceilings)]
    total = Totals.of(layers, ceilings)
    rows = [[*described(layer), *Totals.of([layer], ceilings).cells()] for layer in layers]
    cheaper = f"all three together take less than the convolution in {total.cheaper} of {total.layers} layers"
    rows.append(["total", *[""] * 5, *total.cells()])
    notes = [*meanings(ceilings), cheaper]
    if taken:
        columns += FOOTPRINT
        rows = [
            [*row, *cells] for row, cells in zip(rows, [*map(footprint_cells, taken), moved_in_all(taken)], strict=True)
        ]
        notes.append(f"of the whole Deconv2d, {MEANING_OF_FOOTPRINTS}")
    return Sheet(title, columns, rows, words=6, notes=notes)


def moved_in_all(taken: Sequence[Sides | None]) -> list[str]:
    """The cells of all layers together: what is held by one is not by another."""
    moved = sum(side.moved for sides in taken if sides for side in sides if side)
    return [megabytes(moved), "·", "·"]


def columns_of(ceilings: Ceilings | None) -> list[str]:
    """Those of `Totals.cells`."""
    return [*COLUMNS, *(FLOORS if ceilings else ())]


def meanings(ceilings: Ceilings | None) -> list[str]:
    """What the columns mean."""
    return [MEANING, *([FLOOR] if ceilings else [])]


def described(layer: Layer) -> list[str]:
    """The words of a layer's row."""
    conv = layer.convolution
    kernel = "x".join(map(str, conv.kernel_size)) + (f" /{conv.stride[0]}" if conv.stride[0] > 1 else "")
    size = "x".join(map(str, conv.shape[1:]))
    return [layer.name, size, kernel, str(layer.block), str(layer.order), algorithm_of(layer)]


def totals_sheet(
    combinations: Sequence[tuple[Sequence[str], Sequence[Layer]]], ceilings: Ceilings | None = None
) -> Sheet:
    """One row for each network, input and setting."""
    columns = ["network", "input", "B", "sampling", "cheaper", *columns_of(ceilings)]
    found = [(words, Totals.of(layers, ceilings)) for words, layers in combinations]
    rows = [[*words, f"{total.cheaper} of {total.layers}", *total.cells()] for words, total in found]
    cheaper = "cheaper: layers in which all three together take less than the convolution"
    return Sheet("deconvolution beside convolution", columns, rows, words=5, notes=[*meanings(ceilings), cheaper])
