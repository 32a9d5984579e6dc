"""What the kernels compile to, for every variant and target: exact, and the same on every machine."""

from pathlib import Path
from typing import ClassVar

# asv wants the same parameters for every commit: those of the page in this checkout
PAGE = Path(__file__).parents[1] / "docs" / "resources.md"
LINES = PAGE.read_text().splitlines()
VARIANTS = sorted({line.split("|")[1].strip() for line in LINES if line.startswith("| ") and "/" in line.split("|")[1]})
TARGETS = [line.removeprefix("## ") for line in LINES if line.startswith("## ")]


class Resources:
    """Lower is better."""

    params: ClassVar = (VARIANTS, TARGETS)
    param_names = ("variant", "target")
    version = "1"

    def setup_cache(self):
        """Figures by variant and target; all at once, two compilers at a time."""
        try:
            from ndbench.verify.resources.collection import all_variants  # noqa: PLC0415
            from ndbench.verify.resources.survey import survey  # noqa: PLC0415
        except ImportError:
            return {}  # a commit from before there were kernels, or a machine without Triton
        return {
            (row.variant.name, row.target.name): {
                "registers": row.figures.registers,
                "spills": row.figures.spill_loads + row.figures.spill_stores,
                "shared memory": row.figures.shared,
            }
            for row in survey(all_variants())
            if row.figures
        }

    setup_cache.timeout = 1800

    def setup(self, found, variant, target):
        if (variant, target) not in found:
            raise NotImplementedError(f"this commit has no {variant} for {target}")

    def track_registers(self, found, variant, target):
        return found[variant, target]["registers"]

    def track_spills(self, found, variant, target):
        """Instructions that move registers to memory and back."""
        return found[variant, target]["spills"]

    def track_shared_memory(self, found, variant, target):
        return found[variant, target]["shared memory"]

    track_registers.unit = "registers"
    track_spills.unit = "instructions"
    track_shared_memory.unit = "bytes"
