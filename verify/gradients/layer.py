"""The rungs for a deconvolved convolution from end to end: its gradient with respect to x, first-order term included.

An implementation is called with x, weight, bias and the keywords of `LayerProblem.arguments`; with
`correction=False` it holds mean and D constant in the backward pass, and so drops the term of equation (4).
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.targets import Target
from ndbench.verify.check import Measurement
from ndbench.verify.gradients import budgets
from ndbench.verify.gradients.differences import best_difference
from ndbench.verify.gradients.differentiation import Function, gradient, record
from ndbench.verify.gradients.layer_problems import LayerProblem
from ndbench.verify.gradients.phi import Phi
from ndbench.verify.gradients.truths import condition, rounding
from ndbench.verify.gradients.wiring import second_derivative as second_derivative_of
from ndbench.verify.gradients.wiring import wiring as wiring_of
from ndbench.verify.oracles.derivatives import Eigenpairs, differentiate
from ndbench.verify.oracles.derivatives_layer import Layer, LayerGradient, layer_gradient, layer_output
from ndbench.verify.verdict import Evidence, NotRun

Array = NDArray[Any]

RESOLVED = 10.0
"""A term this many times the budget of the differences must be missed when it is missing."""


def closed_form(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """||dx - dx*|| / ||dx*|| within `budgets.layer`, dx* by the adjoints of the parts."""
    budget, true = allowed(implementation, problem), truth(problem)
    found = _answer(implementation.function, implementation, problem)
    measured = np.linalg.norm(found - true.gradient.full) / np.linalg.norm(true.gradient.full)
    return Measurement(float(measured), budget, _evidence(true))


def differences(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """||dx - dx'|| / ||dx|| <= 8 (1 + sqrt(pixels) / 8) (u (1 + c))^(2/3), dx' by central differences."""
    return _differences(implementation.function, implementation, problem)


def correction(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """Without the first-order term the differences must fail: budget / ||dx_detached - dx'|| <= 1.

    Raises:
        NotRun: where the term is too small for differences to resolve, or the implementation cannot detach it.
    """
    try:
        found = _differences(partial(implementation.function, correction=False), implementation, problem)
    except TypeError as error:
        raise NotRun(f"takes no correction=False: {error}") from error
    share = float(found.evidence["share"])
    if share <= RESOLVED * found.budget:
        raise NotRun(f"the term is {share:.1e} of the gradient, which differences do not resolve here")
    shown = {**found.evidence, "detached": found.measured, "budget of the differences": found.budget}
    return Measurement(found.budget / found.measured, 1.0, shown)


def interleaving(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """The gradient is the same bit by bit after another pass in between; measured is how many entries differ."""
    function = function_of(implementation.function, problem)
    x, device = problem.x(), implementation.place
    G = truth(problem).upstream
    wanted = gradient(function, x, [G], device)
    first = record(function, x, device)
    record(function, 2 * x.flip(-1), device).pull_back([-G])
    return Measurement(float((first.pull_back([G.clone()]) != wanted).sum()), 0.0)


def wiring(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """Gradcheck passes."""
    return wiring_of(function_of(implementation.function, problem), problem.x().to(implementation.place))


def second_derivative(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """Gradgradcheck passes."""
    return second_derivative_of(function_of(implementation.function, problem), problem.x().to(implementation.place))


@dataclass(frozen=True, eq=False)
class LayerTruth:
    """The true gradient of a problem, and how sensitive the adjoint of D is, at its worst block.

    Attributes:
        gradient: in its two parts.
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


def allowed(implementation: Implementation, problem: LayerProblem) -> float:
    """The budget of the closed form.

    Raises:
        NotRun: if it would let anything pass.
    """
    true, u = truth(problem), implementation.unit_roundoff(problem.dtype)
    found = budgets.layer(u, true.gradient.order, true.condition, true.rounding, dtype=problem.dtype)
    if found > budgets.VACUOUS:
        raise NotRun(f"beyond the type: rounding may move the gradient by {found:.1e}")
    return found


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


def function_of(function: Callable[..., Any], problem: LayerProblem) -> Function:
    """The output as a function of x alone."""

    def layer(x: Tensor) -> Any:
        weight, bias = problem.weight().to(x.device), problem.bias().to(x.device)
        return function(x, weight, bias, **problem.arguments())

    return layer


def _differences(function: Callable[..., Any], implementation: Implementation, problem: LayerProblem) -> Measurement:
    true = truth(problem)
    steepest = 1 + true.condition
    phi = Phi(function_of(function, problem), problem.x(), (true.upstream,), each=4, device=implementation.place)
    measured = best_difference(phi, torch.tensor(steepest, dtype=torch.float64))
    budget = budgets.differences(implementation.unit_roundoff(problem.dtype), steepest, phi.dimensions)
    return Measurement(float(measured), budget, _evidence(true))


def _answer(function: Callable[..., Any], implementation: Implementation, problem: LayerProblem) -> Array:
    G = truth(problem).upstream
    return gradient(function_of(function, problem), problem.x(), [G], implementation.place).numpy()


def _root(cov: Array, target: Target) -> Array:
    pairs = Eigenpairs.in_float64(cov)
    z = differentiate(target, pairs.eigenvalues, pairs.algebra).value
    return np.asarray((pairs.V * z) @ pairs.V.T)


def _evidence(true: LayerTruth) -> Evidence:
    return {"share": true.gradient.share, "condition": true.condition, "rounding": true.rounding}
