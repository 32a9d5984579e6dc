"""The checks of the suite: a tuple, each with the problems it is passed on."""

from ndbench.catalog import Implementation
from ndbench.targets import Exact
from ndbench.verify import covariance_suite, invariants, kernels, layers, robustness, stability, values
from ndbench.verify.check import Check
from ndbench.verify.gradients import suite as gradients
from ndbench.verify.problem_sets import INVARIANTS, ORDER, STABILITY, VALUES
from ndbench.verify.scaling import suite as scaling


def _exact(implementation: Implementation) -> bool:
    return isinstance(implementation.target, Exact)


def _truncated(implementation: Implementation) -> bool:
    return not _exact(implementation)


def _has_unchecked(implementation: Implementation) -> bool:
    return implementation.unchecked is not None


def _iterative(implementation: Implementation) -> bool:
    return implementation.iterates is not None


def _of_known_order(implementation: Implementation) -> bool:
    return implementation.order > 0


CHECKS: tuple[Check, ...] = (
    Check("forward", "inverse-sqrt", values.forward, VALUES, _exact),
    Check("steps", "inverse-sqrt", values.steps, VALUES, _truncated),
    Check("whitening", "inverse-sqrt", values.whitening, VALUES, _exact),
    Check("commutation", "inverse-sqrt", values.commutation, VALUES),
    Check("symmetry", "inverse-sqrt", values.symmetry, VALUES),
    Check("definiteness", "inverse-sqrt", values.definiteness, VALUES),
    Check("versus-eigh", "inverse-sqrt", values.versus_eigh, VALUES, _exact),
    Check("scaling", "inverse-sqrt", invariants.scaling, INVARIANTS, invariants.homogeneous),
    Check("similarity", "inverse-sqrt", invariants.similarity, INVARIANTS),
    Check("permutation", "inverse-sqrt", invariants.permutation, INVARIANTS),
    Check("block-diagonal", "inverse-sqrt", invariants.block_diagonal, INVARIANTS),
    Check("batch-independence", "inverse-sqrt", invariants.batch_independence, INVARIANTS),
    Check("strides", "inverse-sqrt", invariants.strides, INVARIANTS),
    Check("leading-dimensions", "inverse-sqrt", invariants.leading_dimensions, INVARIANTS),
    Check("inputs-unchanged", "inverse-sqrt", invariants.inputs_unchanged, INVARIANTS),
    Check("repeatability", "inverse-sqrt", invariants.repeatability, INVARIANTS),
    Check("isolation", "inverse-sqrt", robustness.isolation, INVARIANTS, _has_unchecked),
    Check("rejection", "inverse-sqrt", robustness.rejection, INVARIANTS, _has_unchecked),
    Check("stability", "inverse-sqrt", stability.stability, STABILITY, _iterative),
    Check("order", "inverse-sqrt", stability.order, ORDER, _of_known_order),
    *covariance_suite.CHECKS,
    *gradients.CHECKS,
    *kernels.CHECKS,
    *layers.CHECKS,
    *scaling.CHECKS,
)
