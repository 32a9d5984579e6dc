"""What the kernels compile to: exact, and the same on every machine, with a GPU or without.

Every kernel in its largest variant of float32, and the products that take most of the time on tensor cores too, for
one target of each vendor. All variants for all targets are 999 compilations, minutes; `nox -s aot` judges those.
"""

from itertools import product

from .measurement import known, needed

VARIANTS = (
    "covariance.adjoint/64/channels_last/fp32/ieee",
    "covariance.adjoint_constants",
    "covariance.adjoint_matrices",
    "covariance.im2col/64/channels_last/fp32/ieee",
    "covariance.im2col/64/channels_last/fp32/tf32x3",
    "covariance.im2col_assembly/64/fp32",
    "covariance.lagged/64/channels_last/fp32/ieee",
    "covariance.lagged/64/channels_last/fp32/tf32x3",
    "covariance.lagged_assembly/fp32",
    "covariance.lagged_means/fp64",
    "covariance.lagged_pooling/fp32",
    "covariance.partials",
    "covariance.shift/fp32",
    "denman_beavers.inverse_product/64/ieee",
    "denman_beavers.sweep/64/answer",
    "denman_beavers.sweep_adjoint/32",
    "denman_beavers.tile_product/both/64/ieee",
    "newton_schulz.scratch/128/ieee",
    "newton_schulz.scratch_adjoint/128/ieee",
    "newton_schulz.small/cubic/32/ieee",
    "newton_schulz.small/cubic/32/tf32x3",
    "newton_schulz.small_adjoint/cubic/32/ieee",
    "newton_schulz.tiled_answers/roots/fp32",
    "newton_schulz.tiled_products/64/ieee",
    "newton_schulz.tiled_products/64/tf32x3",
    "newton_schulz.tiled_scaling/tiles/fp32",
)
TARGETS = ("sm_90", "gfx942")


class Resources:
    """Of one thread, or of one program; lower is better."""

    params = (VARIANTS, TARGETS)
    param_names = ("variant", "target")
    version = "1"

    def setup_cache(self):
        """By variant and target what was compiled, or why nothing was."""
        lacking = NotImplementedError("this commit has no such variant for this target")
        try:
            found = {(general_name(row.variant), row.target.name): figures(row) for row in surveyed()}
        except NotImplementedError as reason:
            found, lacking = {}, reason
        return dict.fromkeys(product(VARIANTS, TARGETS), lacking) | found

    setup_cache.timeout = 600

    def setup(self, found, variant, target):
        self.figures = known(found[variant, target])

    def track_registers(self, *_):
        return self.figures["registers"]

    def track_spills(self, *_):
        """Instructions that move registers to memory and back."""
        return self.figures["spills"]

    def track_shared_memory(self, *_):
        return self.figures["shared memory"]

    track_registers.unit = "registers"
    track_spills.unit = "instructions"
    track_shared_memory.unit = "bytes"


def surveyed():
    """Rows of the variants and targets of this suite that the installed commit has."""
    (all_variants,) = needed("ndbench.verify.resources.collection", "all_variants")
    (survey,) = needed("ndbench.verify.resources.survey", "survey")
    (targets,) = needed("ndbench.verify.resources.targets", "TARGETS")
    variants = [variant for variant in all_variants() if general_name(variant) in VARIANTS]
    return survey(variants, [target for target in targets if target.name in TARGETS])


def general_name(variant):
    """Without the vendor, of what differs between them."""
    return variant.name.removesuffix("/nvidia").removesuffix("/amd")


def figures(row):
    """What is tracked of a row, or that it did not compile."""
    if row.figures is None:
        return RuntimeError("; ".join(map(str, row.failures)))
    found = row.figures
    spills = found.spill_loads + found.spill_stores
    return {"registers": found.registers, "spills": spills, "shared memory": found.shared}
