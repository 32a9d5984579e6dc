"""What the kernels compile to: exact, and the same on every machine, with a GPU or without.

Every kernel in its largest variant of float32, and the products that take most of the time on tensor cores too. One
target of each vendor is compiled for; of the others there is what was compiled on this machine before, by `nox -s aot`,
which judges all variants for all targets: 999 compilations, minutes.
"""

from itertools import product

from .measurement import attempt, known, needed

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
COMPILED = ("sm_90", "gfx942")
TARGETS = ("sm_80", "sm_90", "sm_100", "gfx942", "gfx950")


class Resources:
    """Of one thread, or of one program; lower is better."""

    params = (VARIANTS, TARGETS)
    param_names = ("variant", "target")
    version = "1"

    def setup_cache(self):
        """By variant and target what was compiled, or why nothing was."""
        lacking = NotImplementedError("this commit has no such variant for this target")
        found = dict.fromkeys(product(VARIANTS, TARGETS), lacking)
        for targets, look in ((COMPILED, compiled), (sorted(set(TARGETS) - set(COMPILED)), remembered)):
            outcomes = attempt(look, targets)
            # the same reason for all of these targets
            why = outcomes if isinstance(outcomes, Exception) else None
            found |= dict.fromkeys(product(VARIANTS, targets), why) if why else outcomes
        return found

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


def compiled(names):
    """What the variants of this suite that the installed commit has compile to for these targets."""
    variants, targets = there(names)
    (survey,) = needed("ndbench.verify.resources.survey", "survey")
    return {
        (general_name(row.variant), row.target.name): tracked(row.figures)
        if row.figures
        else RuntimeError("; ".join(map(str, row.failures)))
        for row in survey(variants, targets)
    }


def remembered(names):
    """The same, of what is known from compilations before, and a skip for the rest."""
    key, load = needed("ndbench.verify.resources.cache", "key", "load")
    variants, targets = there(names)
    pairs = [(v, target) for v, target in product(variants, targets) if target.vendor in v.vendors]
    known = {(general_name(v), target.name): load(key(v, target)) for v, target in pairs}
    unknown = NotImplementedError("not compiled on this machine before; `nox -s aot` does, asv does not")
    return {case: tracked(figures) if figures else unknown for case, figures in known.items()}


def there(names):
    """The variants of this suite, and the targets of these names, that the installed commit has."""
    (all_variants,) = needed("ndbench.verify.resources.collection", "all_variants")
    (targets,) = needed("ndbench.verify.resources.targets", "TARGETS")
    variants = [variant for variant in all_variants() if general_name(variant) in VARIANTS]
    return variants, [target for target in targets if target.name in names]


def general_name(variant):
    """Without the vendor, of what differs between them."""
    return variant.name.removesuffix("/nvidia").removesuffix("/amd")


def tracked(figures):
    """What is tracked of what was compiled."""
    spills = figures.spill_loads + figures.spill_stores
    return {"registers": figures.registers, "spills": spills, "shared memory": figures.shared}
