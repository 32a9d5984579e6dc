"""Rungs that compare a gradient with the implementation's own values: differences, dot product, Taylor remainder."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.verify.gradients.phi import Phi

SWEEP = (10.0, 3.0, 1.0, 0.3, 0.1)
"""Steps about the best one."""
REMAINDERS = 6
LARGEST = 0.02
"""The largest step of a Taylor remainder, relative to the scale on which the function bends."""
ROUNDING = 2.0**-53


def best_difference(phi: Phi, condition: Tensor) -> NDArray[np.float64]:
    """||g - g'|| / ||g|| with g' by central differences, the least over a sweep of steps, for each problem.

    Args:
        phi: the function and its gradient.
        condition: kappa: the function bends over steps of ||x|| / kappa, and rounding costs u kappa.
    """
    best = (ROUNDING * condition) ** (1 / 3) / condition
    found = [phi.error(central(phi, factor * best)) for factor in SWEEP]
    return torch.stack(found).amin(dim=0).numpy()


def directional_difference(phi: Phi, E: Tensor, condition: Tensor) -> NDArray[np.float64]:
    """|<g - g', E>| / (||g|| ||E||) along one direction, the least over the same steps."""
    E = E * phi.spread(phi.norm(phi.x) / phi.norm(E))
    best = (ROUNDING * condition) ** (1 / 3) / condition
    off = torch.stack([central(phi, factor * best)(E) for factor in SWEEP]) - phi.inner(phi.gradient, E)
    return (off.abs().amin(dim=0) / (phi.norm(phi.gradient) * phi.norm(E))).numpy()


def central(phi: Phi, h: Tensor) -> Callable[[Tensor], Tensor]:
    """(phi(x + h E) - phi(x - h E)) / (2 h), h one number for each problem."""

    def slope(E: Tensor) -> Tensor:
        step = phi.spread(h) * E
        return (phi.at(phi.x + step) - phi.at(phi.x - step)) / (2 * h)

    return slope


def transposed(phi: Phi) -> NDArray[np.float64]:
    """<G, J E> against <J^T G, E>, J E by forward mode."""
    return phi.error(phi.forward_derivative).numpy()


def remainder_slope(phi: Phi, condition: Tensor) -> NDArray[np.float64]:
    """The slope of log R(h) against log h, R(h) = |phi(x + h E) - phi(x) - h <g, E>|; 2 for a right gradient.

    R is the root mean square over directions: a single one may have no curvature. Steps go from ||x|| / (50 c) down to
    where rounding, u c ||G|| ||f||, is still a hundredth of the remainder.
    """
    directions = phi.ascents()
    largest = LARGEST / condition
    quadratic = _remainder(phi, directions, largest)
    rounding = ROUNDING * condition * phi.size()
    smallest = largest * (100 * rounding / quadratic).sqrt().clamp(min=1e-4, max=0.2)
    h = torch.stack([smallest * (largest / smallest) ** (k / (REMAINDERS - 1)) for k in range(REMAINDERS)])
    remainders = torch.stack([_remainder(phi, directions, step) for step in h])
    return _slopes(h.log().numpy(), remainders.log().numpy())


def _remainder(phi: Phi, directions: Sequence[Tensor], h: Tensor) -> Tensor:
    here = phi.at(phi.x)
    found = [phi.at(phi.x + phi.spread(h) * E) - here - h * phi.inner(phi.gradient, E) for E in directions]
    return torch.stack(found).square().mean(dim=0).sqrt()


def _slopes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """The least-squares slope of each column."""
    x = x - x.mean(axis=0)
    return np.asarray((x * y).sum(axis=0) / (x * x).sum(axis=0))
