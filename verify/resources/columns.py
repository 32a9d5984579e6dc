"""The columns of the table of resources."""

from collections.abc import Callable

from ndbench.verify.resources.figures import Figures
from ndbench.verify.resources.survey import Row

KIB = 1024


def cells(row: Row) -> dict[str, str]:
    """What the table says about a row, by the names of its columns."""
    figures = row.figures
    shown = {name: cell(figures) if figures else "" for name, cell in _CELLS.items()}
    verdict = ", ".join(failure.rule for failure in row.failures) or "holds"
    return {"variant": row.variant.name, "target": row.target.name, **shown, "gates": verdict}


def _registers(figures: Figures) -> str:
    return f"{figures.registers}" + (f" ({figures.accumulators} acc)" if figures.accumulators else "")


def _spills(figures: Figures) -> str:
    """Loads + stores, and how many lie in loops."""
    if not figures.spill_loads + figures.spill_stores:
        return "0"
    return f"{figures.spill_loads} + {figures.spill_stores}, {figures.spills_in_loops} in loops"


def _memory(figures: Figures) -> str:
    return f"{figures.shared / KIB:.3g}" + (f" + {figures.tensor_memory} col" if figures.tensor_memory else "")


def _barriers(figures: Figures) -> str:
    return f"{figures.barriers}" + (f" ({figures.asked_barriers} asked)" if figures.asked_barriers else "")


def _matrix(figures: Figures) -> str:
    return ", ".join(f"{count} {kind}" for kind, count in sorted(figures.matrix.items())) or "0"


_CELLS: dict[str, Callable[[Figures], str]] = {
    "registers": _registers,
    "stack": lambda figures: str(figures.stack),
    "spills": _spills,
    "shared KiB": _memory,
    "instructions": lambda figures: str(figures.instructions),
    "multiply-adds": lambda figures: str(figures.multiply_adds),
    "matrix": _matrix,
    "barriers": _barriers,
}
