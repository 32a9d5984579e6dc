"""The rungs, each with the problems it is passed on."""

from collections.abc import Callable
from typing import Any

from ndbench.catalog import Implementation
from ndbench.verify.check import Check
from ndbench.verify.gradients import covariance, layer, roots
from ndbench.verify.gradients.problem_sets import FULL, QUICK

FAMILY = "gradient-"
"""What the names of all checks of gradients begin with."""

LAYER = "deconvolved-conv2d"
"""The operation of a deconvolution from end to end."""


def _always(implementation: Implementation) -> bool:
    return True


def _check(
    rung: str,
    operation: str,
    judge: Callable[[Implementation, Any], Any],
    problems: str,
    applies: Callable[[Implementation], bool] = _always,
) -> Check:
    tiers = {"quick": getattr(QUICK, problems), "full": getattr(FULL, problems)}
    return Check(FAMILY + rung, operation, judge, tiers, applies)


CHECKS: tuple[Check, ...] = (
    _check("closed-form", "inverse-sqrt", roots.closed_form, "closed_form"),
    _check("repeated", "inverse-sqrt", roots.closed_form, "repeated"),
    _check("lyapunov", "inverse-sqrt", roots.lyapunov, "conditions", roots.exact),
    _check("block-matrix", "inverse-sqrt", roots.block_matrix, "conditions"),
    _check("complex-step", "inverse-sqrt", roots.complex_step, "conditions"),
    _check("differences", "inverse-sqrt", roots.differences, "conditions"),
    _check("dot-product", "inverse-sqrt", roots.dot_product, "conditions"),
    _check("taylor", "inverse-sqrt", roots.taylor, "conditions"),
    _check("wiring", "inverse-sqrt", roots.wiring, "tiny"),
    _check("batch-independence", "inverse-sqrt", roots.batch_independence, "closed_form"),
    _check("interleaving", "inverse-sqrt", roots.interleaving, "conditions"),
    _check("inputs-unchanged", "inverse-sqrt", roots.inputs_unchanged, "conditions"),
    _check("enumeration", "covariance", covariance.enumeration, "patches"),
    _check("differences", "covariance", covariance.differences, "double_patches"),
    _check("dot-product", "covariance", covariance.dot_product, "double_patches"),
    _check("wiring", "covariance", covariance.wiring, "few_pixels"),
    _check("interleaving", "covariance", covariance.interleaving, "patches"),
    _check("closed-form", LAYER, layer.closed_form, "layers"),
    _check("differences", LAYER, layer.differences, "double_layers"),
    _check("correction", LAYER, layer.correction, "double_layers"),
    _check("wiring", LAYER, layer.wiring, "tiny_layers"),
    _check("interleaving", LAYER, layer.interleaving, "layers"),
)
