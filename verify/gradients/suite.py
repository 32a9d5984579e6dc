"""The rungs, each with the problems it is passed on."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from ndbench.catalog import Implementation
from ndbench.verify.answers import BrokenPromise
from ndbench.verify.check import Check, Measurement
from ndbench.verify.gradients import covariance, layer, roots
from ndbench.verify.gradients.differentiation import NoForwardMode, NoGradient
from ndbench.verify.gradients.layer import CONVOLUTION, LINEAR
from ndbench.verify.gradients.problem_sets import FULL, QUICK
from ndbench.verify.gradients.wiring import NoSecondDerivative

Judge = Callable[[Implementation, Any], Measurement]

FAMILY = "gradient-"
"""What the names of all checks of gradients begin with."""


PROMISES = {NoGradient: "reverse", NoForwardMode: "forward", NoSecondDerivative: "second"}
"""What each refusal breaks, if it was promised."""


def _always(implementation: Implementation) -> bool:
    return True


def _check(
    rung: str,
    operation: str,
    judge: Judge,
    problems: str,
    applies: Callable[[Implementation], bool] = _always,
) -> Check:
    tiers = {"quick": getattr(QUICK, problems), "full": getattr(FULL, problems)}
    return Check(FAMILY + rung, operation, held_to_promises(judge), tiers, applies)


def held_to_promises(judge: Judge) -> Judge:
    """The same judgement, where a derivative that is refused is a failure if it was promised, and not run otherwise."""

    @wraps(judge)
    def held(implementation: Implementation, problem: Any) -> Measurement:
        try:
            return judge(implementation, problem)
        except tuple(PROMISES) as refusal:
            promise = PROMISES[type(refusal)]
            if promise in implementation.derivatives:
                raise BrokenPromise(f"promises {promise} derivatives, and {refusal}") from refusal
            raise

    return held


def layer_checks(operation: str, problems: str) -> tuple[Check, ...]:
    """The rungs of a whole layer: convolutions on all problems, linear layers on those of one pixel."""
    return (
        _check("closed-form", operation, layer.closed_form, problems),
        _check("detached", operation, layer.detached, problems),
        _check("parameters", operation, layer.parameters, problems),
        _check("differences", operation, layer.differences, f"double_{problems}"),
        _check("correction", operation, layer.correction, f"double_{problems}"),
        _check("dot-product", operation, layer.dot_product, f"double_{problems}"),
        _check("interleaving", operation, layer.interleaving, f"few_{problems}"),
        _check("inputs-unchanged", operation, layer.inputs_unchanged, f"few_{problems}"),
        _check("wiring", operation, layer.wiring, f"small_{problems}"),
        _check("second-derivative", operation, layer.second_derivative, f"small_{problems}"),
    )


CHECKS: tuple[Check, ...] = (
    _check("closed-form", "inverse-sqrt", roots.closed_form, "closed_form"),
    _check("repeated", "inverse-sqrt", roots.closed_form, "repeated"),
    _check("lyapunov", "inverse-sqrt", roots.lyapunov, "conditions", roots.exact),
    _check("block-matrix", "inverse-sqrt", roots.block_matrix, "conditions"),
    _check("complex-step", "inverse-sqrt", roots.complex_step, "conditions"),
    _check("differences", "inverse-sqrt", roots.differences, "conditions"),
    _check("dot-product", "inverse-sqrt", roots.dot_product, "conditions"),
    _check("taylor", "inverse-sqrt", roots.taylor, "conditions"),
    _check("wiring", "inverse-sqrt", roots.wiring, "small"),
    _check("second-derivative", "inverse-sqrt", roots.second_derivative, "small"),
    _check("batch-independence", "inverse-sqrt", roots.batch_independence, "closed_form"),
    _check("strides", "inverse-sqrt", roots.strides, "laid_out"),
    _check("leading-dimensions", "inverse-sqrt", roots.leading_dimensions, "laid_out"),
    _check("interleaving", "inverse-sqrt", roots.interleaving, "laid_out"),
    _check("inputs-unchanged", "inverse-sqrt", roots.inputs_unchanged, "laid_out"),
    _check("enumeration", "covariance", covariance.enumeration, "patches"),
    _check("differences", "covariance", covariance.differences, "double_patches"),
    _check("dot-product", "covariance", covariance.dot_product, "double_patches"),
    _check("wiring", "covariance", covariance.wiring, "few_pixels"),
    _check("second-derivative", "covariance", covariance.second_derivative, "few_pixels"),
    _check("strides", "covariance", covariance.strides, "laid_out_patches"),
    _check("interleaving", "covariance", covariance.interleaving, "few_patches"),
    *layer_checks(CONVOLUTION, "layers"),
    *layer_checks(LINEAR, "pointwise"),
)
