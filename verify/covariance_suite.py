"""The checks of patch covariance and of deconvolution, each with the problems it is passed on."""

from ndbench.verify import covariance_invariants, covariance_values, deconvolution
from ndbench.verify.check import Check
from ndbench.verify.covariance_problem_sets import FULL, QUICK

_VALUES = {
    "mean": covariance_values.mean,
    "covariance": covariance_values.covariance,
    "exact-symmetry": covariance_values.exact_symmetry,
    "semidefinite": covariance_values.semidefinite,
}

_INVARIANTS = {
    "translation": covariance_invariants.translation,
    "channel-order": covariance_invariants.channel_order,
    "batch-order": covariance_invariants.batch_order,
    "strides": covariance_invariants.strides,
    "inputs-unchanged": covariance_invariants.inputs_unchanged,
    "repeatability": covariance_invariants.repeatability,
    "eps": covariance_invariants.diagonal,
    "scaling": covariance_invariants.scaling,
}

_DECONVOLUTION = {
    "folding": deconvolution.folding,
    "inputs-unchanged": deconvolution.inputs_unchanged,
    "repeatability": deconvolution.repeatability,
}

CHECKS: tuple[Check, ...] = (
    *(
        Check(name, "covariance", judge, {"quick": QUICK.values, "full": FULL.values})
        for name, judge in _VALUES.items()
    ),
    Check(
        "large-mean",
        "covariance",
        covariance_values.covariance,
        {"quick": QUICK.large_mean, "full": FULL.large_mean},
    ),
    Check("grouping", "covariance", covariance_values.placement, {"quick": QUICK.coded, "full": FULL.coded}),
    Check("agreement", "covariance", covariance_values.agreement, {"quick": QUICK.agreement, "full": FULL.agreement}),
    *(
        Check(name, "covariance", judge, {"quick": QUICK.invariants, "full": FULL.invariants})
        for name, judge in _INVARIANTS.items()
    ),
    *(
        Check(name, "deconvolution", judge, {"quick": QUICK.deconvolution, "full": FULL.deconvolution})
        for name, judge in _DECONVOLUTION.items()
    ),
)
