"""The rungs for patch covariance: gradients with respect to x from gradients of the mean and of the covariance."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.verify import metrics
from ndbench.verify.budgets import unit_roundoff
from ndbench.verify.check import Measurement
from ndbench.verify.covariance_answers import call, product_roundoff, shape_of
from ndbench.verify.covariance_budgets import arithmetic, rounded_products
from ndbench.verify.covariance_invariants import LAYOUTS
from ndbench.verify.gradients import budgets
from ndbench.verify.gradients.differences import best_difference
from ndbench.verify.gradients.differences import transposed as against_forward_mode
from ndbench.verify.gradients.differentiation import Function, gradient, inputs_changed, interleaved, record_leaf
from ndbench.verify.gradients.layouts import sparse, spread, transposed
from ndbench.verify.gradients.phi import Phi
from ndbench.verify.gradients.problems import CovarianceGradientProblem
from ndbench.verify.gradients.wiring import second_derivative as second_derivative_of
from ndbench.verify.gradients.wiring import wiring as wiring_of
from ndbench.verify.oracles.covariance import patch_matrices
from ndbench.verify.oracles.derivatives_covariance import collect, covariance_gradient, pixel_numbers

Array = NDArray[np.float64]


def enumeration(implementation: Implementation, problem: CovarianceGradientProblem) -> Measurement:
    """|dx - dx*| <= (2 u (4 + sqrt(F)) + 4 (v - u)) size, pixel by pixel, dx* by enumeration of patches.

    `budgets.fold` has the first term; v is the unit roundoff of products (`covariance_budgets.rounded_products`).
    """
    asked = _function(implementation, problem), problem.x(), _upstream(problem), implementation.place
    return _against_truth([gradient(*asked).numpy()], implementation, problem)


def strides(implementation: Implementation, problem: CovarianceGradientProblem) -> Measurement:
    """The gradient does not depend on how x, g and G lie in memory: each is within the budget of the enumeration.

    x is in every layout of the values' check of strides; G is transposed, and every second row and column of a larger
    tensor, and g every second number.
    """
    x, (g, G) = problem.x().to(implementation.place), (t.to(implementation.place) for t in _upstream(problem))
    ways = [(layout(x), g, G) for layout in LAYOUTS] + [(x, g, transposed(G)), (x, spread(g), sparse(G))]
    function = _function(implementation, problem)
    found = [record_leaf(function, y.detach().requires_grad_()).pull_back(given).numpy() for y, *given in ways]
    return _against_truth(found, implementation, problem)


def dot_product(implementation: Implementation, problem: CovarianceGradientProblem) -> Measurement:
    """<g, J_mean E> + <G, J_cov E> = <dx, E>, J E by forward mode, within 4 u (1 + sqrt(pixels)) size / ||dx||."""
    phi = _phi(implementation, problem)
    measured = against_forward_mode(phi)
    # rounding x is in the sizes, so that c = 0
    allowed = budgets.transpose(implementation.unit_roundoff(problem.dtype), phi.dimensions, 0, 1)
    return Measurement(float(measured), allowed * float(_cancelled(problem, phi.gradient)))


def differences(implementation: Implementation, problem: CovarianceGradientProblem) -> Measurement:
    """||dx - dx'|| / ||dx|| <= 8 (1 + sqrt(pixels) / 8) u^(2/3), dx' by central differences of a quadratic."""
    phi = _phi(implementation, problem)
    measured = best_difference(phi, torch.tensor(1.0, dtype=torch.float64))
    u = implementation.unit_roundoff(problem.dtype)
    return Measurement(float(measured), budgets.differences(u, 1, phi.dimensions))


def wiring(implementation: Implementation, problem: CovarianceGradientProblem) -> Measurement:
    """Gradcheck passes."""
    return wiring_of(_function(implementation, problem), problem.x().to(implementation.place))


def second_derivative(implementation: Implementation, problem: CovarianceGradientProblem) -> Measurement:
    """Gradgradcheck passes."""
    return second_derivative_of(_function(implementation, problem), problem.x().to(implementation.place))


def interleaving(implementation: Implementation, problem: CovarianceGradientProblem) -> Measurement:
    """The gradient is the same bit by bit after another pass in between, and x and G stay what they were."""
    asked = _function(implementation, problem), problem.x(), _upstream(problem), implementation.place
    return Measurement(interleaved(*asked) + inputs_changed(*asked), 0)


@lru_cache(maxsize=64)
def truth(problem: CovarianceGradientProblem) -> tuple[Array, Array]:
    """The true gradient, and for every pixel the size of the terms that make it up, both (N, C, H, W) in float64."""
    g, G = (tensor.double().numpy().astype(np.longdouble) for tensor in _upstream(problem))
    g, G = g.reshape(-1, g.shape[-1]), G.reshape(-1, *G.shape[-2:])
    geometry = problem.arguments()
    geometry.pop("eps")
    x = problem.x().double().numpy().astype(np.longdouble)
    places, rows = patch_matrices(pixel_numbers(x), **geometry), patch_matrices(x, **geometry)
    sizes = [
        (abs(a) + (abs(X - X.mean(0)) + abs(X.mean(0))) @ abs(B + B.T)) / len(X)
        for X, a, B in zip(rows, g, G, strict=True)
    ]
    size = collect(x, list(zip(places, sizes, strict=True)))
    return covariance_gradient(x, g, G, **geometry).astype(np.float64), size.astype(np.float64)


def _against_truth(
    found: Sequence[Array], implementation: Implementation, problem: CovarianceGradientProblem
) -> Measurement:
    """The worst pixel of some gradients of one problem, with the budget of `enumeration`."""
    true, size = truth(problem)
    allowed = budgets.fold(arithmetic(problem.dtype), size, shape_of(problem.x(), problem.arguments())[1])
    v = product_roundoff(implementation, problem.dtype)
    allowed = allowed + rounded_products(problem.dtype, v) * size + 2 * unit_roundoff(problem.dtype) * abs(true)
    distance = abs(np.stack(found) - true)
    return Measurement(*metrics.worst(distance.ravel(), np.broadcast_to(allowed, distance.shape).ravel()))


def _upstream(problem: CovarianceGradientProblem) -> tuple[Tensor, Tensor]:
    groups, F = shape_of(problem.x(), problem.arguments())
    return problem.upstream((F,) if problem.images.pooled else (groups, F))


def _function(implementation: Implementation, problem: CovarianceGradientProblem) -> Function:
    return lambda x: call(implementation, x, problem.arguments())


def _phi(implementation: Implementation, problem: CovarianceGradientProblem) -> Phi:
    function, x = _function(implementation, problem), problem.x()
    return Phi(function, x, _upstream(problem), each=4, device=implementation.place)


def _cancelled(problem: CovarianceGradientProblem, dx: Tensor) -> float:
    """By how much the terms of the gradient are larger than what is left of them."""
    return float(np.linalg.norm(truth(problem)[1]) / dx.norm())
