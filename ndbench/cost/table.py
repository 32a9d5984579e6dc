"""What every algorithm of every operation costs in one layer."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from importlib.util import find_spec
from typing import Any

from ndbench.cost import covariance, footprints, roots
from ndbench.cost.ceilings import Ceilings, floor_of
from ndbench.cost.footprints import FOOTPRINT, MEANING_OF_FOOTPRINTS, Sides, footprint_cells
from ndbench.cost.geometry import Layer
from ndbench.cost.layer import algorithm_of, convolution, convolution_backward, folding, folding_backward, law, parts
from ndbench.cost.model import Cost
from ndbench.cost.sheet import Sheet, billions, megabytes, share
from ndbench.roots.adjoints.choice import ADJOINTS

ITEMSIZE = 4
NOTHING = Cost(0)


@dataclass(frozen=True)
class Row:
    """One algorithm of one operation in a layer.

    Attributes:
        operation: "covariance", "root", "folding", "convolution" or "layer".
        algorithm: its name.
        forward: its cost.
        backward: the cost of its gradient; nothing where there is none, or none is asked for.
        law: the term of the paper's law that it answers to, in flops, or 0.
        footprint: takes what its operators move and hold both ways; None for what is no operator of PyTorch.
    """

    operation: str
    algorithm: str
    forward: Cost
    backward: Cost = NOTHING
    law: int = 0
    footprint: Callable[[], Sides | None] | None = None

    @property
    def both(self) -> Cost:
        """Forward and backward together."""
        return self.forward + self.backward

    def record(self, ceilings: Ceilings | None = None, sides: Sides | None = None) -> dict[str, Any]:
        """Plain data, with the floor in seconds where rates are known."""
        return {
            "operation": self.operation,
            "algorithm": self.algorithm,
            **{
                name: {"products": cost.products, "estimated": cost.estimated, "bytes": cost.moved}
                | (asdict(footprint) if footprint else {})
                for name, cost, footprint in zip(
                    ("forward", "backward"), (self.forward, self.backward), sides or (None, None), strict=True
                )
            },
            "law": self.law,
            "exact": self.both.exact,
            **({"floor": floor_of((self.forward, self.backward), ceilings)} if ceilings else {}),
        }


def rows_of(layer: Layer, module: str = "Deconv2d") -> list[Row]:
    """Every algorithm of every operation, and at the end what the layer of this name takes of them."""
    conv = layer.convolution
    whole = sum_of(parts(layer, ITEMSIZE).values())
    return [
        *covariances(layer),
        *inverse_roots(layer),
        *by_kernels(layer),
        Row(
            "folding",
            "",
            folding(layer, ITEMSIZE),
            folding_backward(layer, ITEMSIZE),
            footprint=partial(footprints.folding, layer),
        ),
        Row(
            "convolution",
            "",
            convolution(conv, ITEMSIZE),
            convolution_backward(conv, ITEMSIZE),
            footprint=partial(footprints.convolution, conv),
        ),
        Row(
            "layer",
            f"{module}: {algorithm_of(layer)}, {layer.whitening.method}",
            *whole,
            footprint=partial(footprints.whole_if_seen, layer),
        ),
    ]


def covariances(layer: Layer) -> Iterator[Row]:
    """The algorithms of the covariance."""
    shape, patches, (term, _) = layer.convolution.shape, layer.patches, law(layer)
    for name in covariance.FORWARD:
        wanted = layer.convolution.input_gradient and name in covariance.ADJOINT
        backward = covariance.adjoint(name, shape, patches, ITEMSIZE) if wanted else NOTHING
        taken = partial(footprints.covariance, name, shape, patches, backward=layer.convolution.input_gradient)
        footprint = taken if name in footprints.COVARIANCES else None
        yield Row("covariance", name, covariance.forward(name, shape, patches, ITEMSIZE), backward, term, footprint)


def inverse_roots(layer: Layer) -> Iterator[Row]:
    """The methods of the root, with each adjoint."""
    steps, n, matrices, (_, term) = layer.whitening.steps, layer.order, layer.matrices, law(layer)
    for method, adjoints in ADJOINTS.items():
        for adjoint in adjoints[1:]:
            forward = roots.forward(method, steps, n, adjoint=adjoint, batch=matrices, itemsize=ITEMSIZE)
            wanted = layer.convolution.input_gradient and not method.startswith("scipy")
            arguments = {"adjoint": adjoint, "batch": matrices, "itemsize": ITEMSIZE}
            backward = roots.backward(method, steps, n, **arguments) if wanted else NOTHING  # type: ignore[arg-type]
            taken = partial(footprints.root, method, adjoint, steps, n, batch=matrices, backward=wanted)
            footprint = None if method.startswith("scipy") else taken
            yield Row("root", f"{method}, {adjoint}", forward, backward, term, footprint)


def by_kernels(layer: Layer) -> Iterator[Row]:
    """The kernels of both, where Triton is installed."""
    if not find_spec("triton"):
        return
    from ndbench.cost import kernel_rows  # noqa: PLC0415

    (first, second), wanted = law(layer), layer.convolution.input_gradient
    found = (
        ("covariance", kernel_rows.covariances(layer), covariances(layer), first),
        ("root", kernel_rows.roots(layer), inverse_roots(layer), second),
    )
    for operation, kernels, others, term in found:
        # they move what the others move
        moved = next(iter(others))
        for name, forward, backward, footprint in kernels:
            sides = replace(forward, moved=moved.forward.moved), replace(backward, moved=moved.backward.moved)
            yield Row(operation, name, sides[0], sides[1] if wanted else NOTHING, term, footprint)


def sum_of(sides: Iterable[tuple[Cost, Cost]]) -> tuple[Cost, Cost]:
    """The sums of forward and of backward."""
    forwards, backwards = zip(*sides, strict=True)
    return sum(forwards, NOTHING), sum(backwards, NOTHING)


def layer_sheet(
    layer: Layer, rows: Sequence[Row], taken: Sequence[Sides | None] | None = None, ceilings: Ceilings | None = None
) -> Sheet:
    """The table of one layer: its rows, their footprints if they were taken, and floors if rates are known."""
    conv = next(row for row in rows if row.operation == "convolution")
    columns = ["operation", "algorithm", "forward Gflop", "of conv", "of law", "backward Gflop", "of conv", "", "MB"]
    columns += FOOTPRINT if taken else []
    columns += ["floor ms"] if ceilings else []
    found = [
        [*cells(row, conv), *(footprint_cells(sides) if taken else []), *(floor_cells(row, ceilings))]
        for row, sides in zip(rows, taken or [None] * len(rows), strict=True)
    ]
    notes = [*notes_of(layer), *([MEANING_OF_FOOTPRINTS] if taken else [])]
    return Sheet(title_of(layer), columns, found, words=2, notes=notes)


def cells(row: Row, conv: Row) -> list[str]:
    """The cells of one row that are known at once."""
    return [
        row.operation,
        row.algorithm,
        billions(row.forward.flops),
        share(row.forward.flops, conv.forward.flops),
        share(row.forward.flops, row.law),
        billions(row.backward.flops) if row.backward.flops else "·",
        share(row.backward.flops, conv.backward.flops) if row.backward.flops else "·",
        "=" if row.both.exact else "≈",
        megabytes(row.both.moved),
    ]


def floor_cells(row: Row, ceilings: Ceilings | None) -> list[str]:
    """The milliseconds that both ways cannot be below, where rates are known."""
    return [f"{1e3 * floor_of((row.forward, row.backward), ceilings):.3g}"] if ceilings else []


def title_of(layer: Layer) -> str:
    """The numbers of a layer in words."""
    conv, how = layer.convolution, layer.whitening
    kh, kw = conv.kernel_size
    sizes = f"{'x'.join(map(str, conv.shape))} -> {conv.outputs} channels, kernel {kh}x{kw}"
    return f"{sizes}, block {layer.block}, sampling {how.sampling}, T = {how.steps}: covariance of order {layer.order}"


def notes_of(layer: Layer) -> list[str]:
    """The paper's law in numbers, and what the columns mean."""
    first, second = law(layer)
    return [
        f"law: the paper's H W k^2 C B + (k^2 B)^3 is {billions(first)} + {billions(second)} Gflop for the N images",
        "=: equal to PyTorch's count of a run; ≈: factorizations and scipy are estimated, by leading order",
        "triton: what kernels execute for contiguous float32 in ieee, padded tiles and chunks included",
        "MB: inputs and outputs once, forward and backward",
    ]
