"""The rungs for deconvolved layers from end to end: gradients of input, weight and bias, first-order term included.

An implementation is called with x, weight, bias and the keywords of `LayerProblem.arguments`; with `correction=False`
it holds mean and D constant in the backward pass, and so drops the term of equation (4). A linear layer is judged as
a convolution by one pixel: it gets the same problem with the channels last, and no keywords of a convolution.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache, wraps
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from ndbench.catalog import Implementation
from ndbench.targets import Target
from ndbench.verify import metrics
from ndbench.verify.check import Measurement
from ndbench.verify.gradients import budgets
from ndbench.verify.gradients.differences import best_difference, directional_difference, transposed
from ndbench.verify.gradients.differentiation import Function, gradient, inputs_changed, interleaved
from ndbench.verify.gradients.layer_problems import LayerProblem
from ndbench.verify.gradients.phi import Phi
from ndbench.verify.gradients.truths import condition, rounding
from ndbench.verify.gradients.wiring import second_derivative as second_derivative_of
from ndbench.verify.gradients.wiring import wiring as wiring_of
from ndbench.verify.oracles.derivatives import Eigenpairs, differentiate
from ndbench.verify.oracles.derivatives_layer import Layer, LayerGradient, layer_gradient, layer_output
from ndbench.verify.verdict import NotRun

Array = NDArray[Any]
Rung = Callable[[Implementation, LayerProblem], Measurement]

CONVOLUTION, LINEAR = "deconvolved-conv2d", "deconvolved-linear"
"""The operations of whole layers."""
MODULES = ("layer", "layer-of-one-pixel")
"""The same as modules that are trained."""


def with_share(judge: Rung) -> Rung:
    """The same rung, with the share of the correction term and the sensitivity of D's adjoint in the evidence."""

    @wraps(judge)
    def rung(implementation: Implementation, problem: LayerProblem) -> Measurement:
        found, true = judge(implementation, problem), truth(problem)
        figures = {"share": true.gradient.share, "condition": true.condition, "rounding": true.rounding}
        return replace(found, evidence={**figures, **found.evidence})

    return rung


@with_share
def closed_form(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """||dx - dx*|| / ||dx*|| within `budgets.layer`, dx* by the adjoints of the parts."""
    return _distance(implementation, problem, truth(problem).gradient.full)


@with_share
def detached(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """With correction=False, the same for the part of dx* that is no correction.

    Raises:
        NotRun: if the implementation has no such keyword.
    """
    _require_correction(implementation)
    return _distance(implementation, problem, truth(problem).gradient.detached, correction=False)


@with_share
def parameters(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """||dw - dw*|| / ||dw*|| and ||db - db*|| / ||db*|| of weight and bias, each within `budgets.parameters`."""
    true, u, dtype = truth(problem), implementation.unit_roundoff(problem.dtype), problem.dtype
    x, weight, bias = (tensor.to(implementation.place) for tensor in _tensors(problem))
    of_weight = _pulled_back(lambda w: call(implementation, problem, x, w, bias), weight, problem, implementation)
    of_bias = _pulled_back(lambda b: call(implementation, problem, x, weight, b), bias, problem, implementation)
    rows, wanted = true.upstream[:, 0].numel(), true.gradient.parameters
    of_root = budgets.statistics(u, true.gradient.order, true.condition, true.rounding, dtype=dtype)
    pairs = (
        (of_weight, wanted.weight, (wanted.terms, wanted.sums), of_root),
        (of_bias, wanted.bias, (wanted.bias_terms, wanted.bias), 0.0),
    )
    measured, allowed = [], []
    for found, expected, sizes, error in pairs:
        norm = np.linalg.norm(expected)
        terms, sums = (float(np.linalg.norm(size) / norm) for size in sizes)
        measured.append(np.linalg.norm(found - expected) / norm)
        allowed.append(_judgeable(budgets.parameters(u, rows, error, (terms, sums), dtype=dtype)))
    return Measurement(*metrics.worst(np.array(measured), np.array(allowed)))


@with_share
def differences(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """||dx - dx'|| / ||dx|| <= 8 (1 + sqrt(pixels) / 8) (u (1 + c))^(2/3), dx' by central differences."""
    phi, steepest = _phi(implementation, problem), _steepest(problem)
    budget = budgets.differences(implementation.unit_roundoff(problem.dtype), float(steepest), phi.dimensions)
    return Measurement(float(best_difference(phi, steepest)), budget)


@with_share
def correction(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """With correction=False differences must fail wherever the term is above their budget: budget / distance <= 1.

    The distance is taken along the term itself: |<dx_detached - dx', E>| / (||dx_detached|| ||E||) with E the oracle's
    correction. In this direction the whole of a missing term shows, and none of its size is left to chance.

    Raises:
        NotRun: where the term is below the budget, or the implementation has no such keyword.
    """
    _require_correction(implementation)
    true, phi = truth(problem).gradient, _phi(implementation, problem, correction=False)
    steepest = _steepest(problem)
    budget = budgets.differences(implementation.unit_roundoff(problem.dtype), float(steepest), phi.dimensions)
    missing = float(np.linalg.norm(true.correction) / np.linalg.norm(true.detached))
    if missing <= budget:
        raise NotRun(f"the term is {missing:.1e} of the gradient, which differences do not resolve here")
    found = float(directional_difference(phi, torch.from_numpy(true.correction), steepest))
    return Measurement(budget / found, 1.0, {"detached": found, "budget of the differences": budget})


@with_share
def dot_product(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """<G, J E> = <dx, E> within 4 u (2 c + max(1, r)) (1 + sqrt(pixels)), J E by forward mode."""
    phi, true = _phi(implementation, problem), truth(problem)
    u = implementation.unit_roundoff(problem.dtype)
    return Measurement(float(transposed(phi)), budgets.transpose(u, phi.dimensions, true.condition, true.rounding))


@with_share
def interleaving(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """The gradient is the same bit by bit after another pass in between; measured is how many entries differ."""
    function, G = function_of(implementation, problem), truth(problem).upstream
    return Measurement(interleaved(function, problem.x(), [G], implementation.place), 0)


@with_share
def inputs_unchanged(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """x, weight, bias and G are what they were after the backward pass: the number of entries that differ is 0."""
    x, *given = _tensors(problem)
    weight, bias = (tensor.to(implementation.place, copy=True) for tensor in given)
    G, place = truth(problem).upstream, implementation.place
    changed = inputs_changed(lambda x: call(implementation, problem, x, weight, bias), x, [G], place)
    changed += sum(int((a.cpu() != b).sum()) for a, b in zip((weight, bias), given, strict=True))
    return Measurement(changed, 0)


@with_share
def wiring(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """Gradcheck passes."""
    return wiring_of(function_of(implementation, problem), problem.x().to(implementation.place))


@with_share
def second_derivative(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """Gradgradcheck passes."""
    return second_derivative_of(function_of(implementation, problem), problem.x().to(implementation.place))


@dataclass(frozen=True, eq=False)
class LayerTruth:
    """The true gradient of a problem, and how sensitive the adjoint of D is, at its worst block.

    Attributes:
        gradient: in its parts.
        condition: c.
        rounding: r.
        upstream: G.
    """

    gradient: LayerGradient
    condition: float
    rounding: float
    upstream: Tensor


@lru_cache(maxsize=64)
def truth(problem: LayerProblem) -> LayerTruth:
    """The truth for the rounded tensors of a problem; G = y is the oracle's y, rounded."""
    layer, x = oracle(problem), problem.x().double().numpy()
    G = problem.upstream(torch.from_numpy(layer_output(layer, x)))
    true = layer_gradient(layer, x, G.double().numpy())
    pairs = [(c, (g + g.T) / 2) for c, g in zip(true.covariances, true.upstream, strict=True)]
    c, r = (max(figure(*pair, problem.target) for pair in pairs) for figure in (condition, rounding))
    return LayerTruth(true, c, r, G)


def oracle(problem: LayerProblem) -> Layer:
    """The layer as the oracle takes it, from the rounded tensors."""
    return Layer(
        weight=problem.weight().double().numpy(),
        bias=problem.bias().double().numpy(),
        groups=problem.groups,
        convolution=problem.convolution(),
        sampling=problem.sampling(),
        eps=problem.images.eps,
        root=lambda cov: _root(cov, problem.target),
        root_gradient=lambda cov, G: Eigenpairs.in_float64(cov).gradient(problem.target, G),
    )


def call(
    implementation: Implementation, problem: LayerProblem, x: Tensor, weight: Tensor, bias: Tensor, **how: Any
) -> Any:
    """The output (N, O, Ho, Wo)."""
    if implementation.operation == LINEAR:
        keywords = {**problem.whitening(), **how}
        return implementation.function(x.movedim(1, -1), weight[:, :, 0, 0], bias, **keywords).movedim(-1, 1)
    if implementation.operation in MODULES:
        module = module_of(implementation, problem, weight.detach(), bias.detach(), **how)
        given = {"weight": weight, "bias": bias}
        parameters = {n: given[n.rpartition(".")[2]].reshape(p.shape) for n, p in module.named_parameters()}
        return functional_call(module, parameters, (x,))
    return implementation.function(x, weight, bias, **problem.arguments(), **how)


def module_of(
    implementation: Implementation, problem: LayerProblem, weight: Tensor, bias: Tensor, **how: Any
) -> nn.Module:
    """The layer that is judged.

    Raises:
        NotRun: if the problem counts some pixels only, and the layer has no sampling stride.
    """
    module: nn.Module = implementation.function(weight, bias, **problem.layer_arguments(), **how)
    if problem.sampling_stride > 1 and not any(hasattr(part, "sampling_stride") for part in module.modules()):
        raise NotRun("it counts all rows, and has no sampling stride")
    return module


def function_of(implementation: Implementation, problem: LayerProblem, **how: Any) -> Function:
    """The output as a function of x alone."""
    _, *parameters = (tensor.to(implementation.place) for tensor in _tensors(problem))
    return lambda x: call(implementation, problem, x, *parameters, **how)


def _tensors(problem: LayerProblem) -> tuple[Tensor, Tensor, Tensor]:
    return problem.x(), problem.weight(), problem.bias()


def _phi(implementation: Implementation, problem: LayerProblem, **how: Any) -> Phi:
    function, G = function_of(implementation, problem, **how), truth(problem).upstream
    return Phi(function, problem.x(), (G,), each=4, device=implementation.place)


def _steepest(problem: LayerProblem) -> Tensor:
    return torch.tensor(1 + truth(problem).condition, dtype=torch.float64)


def _distance(implementation: Implementation, problem: LayerProblem, wanted: Array, **how: Any) -> Measurement:
    true, u = truth(problem), implementation.unit_roundoff(problem.dtype)
    sensitivity = (true.condition, true.rounding)
    budget = _judgeable(budgets.layer(u, true.gradient.order, *sensitivity, dtype=problem.dtype))
    found = _pulled_back(function_of(implementation, problem, **how), problem.x(), problem, implementation)
    return Measurement(float(np.linalg.norm(found - wanted) / np.linalg.norm(wanted)), budget)


def _pulled_back(function: Function, leaf: Tensor, problem: LayerProblem, implementation: Implementation) -> Array:
    return gradient(function, leaf, [truth(problem).upstream], implementation.place).numpy()


def _judgeable(budget: float) -> float:
    """The budget.

    Raises:
        NotRun: if it would let anything pass.
    """
    if budget > budgets.VACUOUS:
        raise NotRun(f"beyond the type: rounding may move the gradient by {budget:.1e} of itself")
    return budget


def _require_correction(implementation: Implementation) -> None:
    """Refuse a function that cannot be told to detach; the library's promise to."""
    parameters = inspect.signature(implementation.function).parameters.values()
    named = any(p.name == "correction" or p.kind == p.VAR_KEYWORD for p in parameters)
    if not named and not implementation.derivatives:
        raise NotRun("takes no correction=False")


def _root(cov: Array, target: Target) -> Array:
    pairs = Eigenpairs.in_float64(cov)
    z = differentiate(target, pairs.eigenvalues, pairs.algebra).value
    return np.asarray((pairs.V * z) @ pairs.V.T)
