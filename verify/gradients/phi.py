"""phi(x) = <G, f(x)>: the scalar function whose gradient is asked for, as the rungs that need no oracle see it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ndbench.verify.gradients.differentiation import Function, forward_derivative, gradient, values
from ndbench.verify.gradients.problems import drawn

DIRECTIONS = 3
"""Random directions in which a gradient is compared: a wrong one is wrong in all of them."""


@dataclass(frozen=True, eq=False)
class Phi:
    """A function, where it is differentiated, and with what upstream gradients.

    Attributes:
        function: of one tensor, returning one or several.
        x: float64.
        upstream: G, as many as the function returns.
        each: dimensions of x that belong to one problem: 2 for a batch of matrices, all of x otherwise.
        symmetric: whether x is, and only symmetric directions have a meaning.
        device: where x is put.
    """

    function: Function
    x: Tensor
    upstream: tuple[Tensor, ...]
    each: int
    symmetric: bool = False
    device: str = "cpu"

    @cached_property
    def gradient(self) -> Tensor:
        """The implementation's, made symmetric where x is."""
        g = gradient(self.function, self.x, self.upstream, self.device)
        return (g + g.mT) / 2 if self.symmetric else g

    @property
    def dimensions(self) -> int:
        """Entries of one problem."""
        return self.x[(0,) * (self.x.ndim - self.each)].numel()

    def at(self, x: Tensor) -> Tensor:
        """phi(x), one number for each problem of a batch."""
        found = values(self.function, x.to(self.device))
        inner = [self.inner(y, G.double()) for y, G in zip(found, self.upstream, strict=True)]
        return torch.stack(inner).sum(dim=0)

    def inner(self, a: Tensor, b: Tensor) -> Tensor:
        """<a, b> for each problem of a batch."""
        return (a * b).flatten(self.x.ndim - self.each).sum(dim=-1)

    def norm(self, a: Tensor) -> Tensor:
        """||a|| for each problem of a batch."""
        return self.inner(a, a).sqrt()

    def directions(self) -> list[Tensor]:
        """A few random directions with the norm of x."""
        found = drawn("directions", 0, DIRECTIONS, *self.x.shape)
        found = (found + found.mT) / 2 if self.symmetric else found
        return [E * self.spread(self.norm(self.x) / self.norm(E)) for E in found]

    def ascents(self) -> list[Tensor]:
        """The same, made positive semidefinite where x is: x + h E is never outside the domain for h > 0."""
        if not self.symmetric:
            return self.directions()
        squares = [E @ E for E in self.directions()]
        return [E * self.spread(self.norm(self.x) / self.norm(E)) for E in squares]

    def size(self) -> Tensor:
        """||G|| ||f(x)||, the size of what phi adds up."""
        found = values(self.function, self.x.to(self.device))
        norms = [self.norm(y) * self.norm(G.double()) for y, G in zip(found, self.upstream, strict=True)]
        return torch.stack(norms).sum(dim=0)

    def spread(self, numbers: Tensor) -> Tensor:
        """One number for each problem, in a shape that multiplies x."""
        return numbers[(...,) + (None,) * self.each]

    def forward_derivative(self, E: Tensor) -> Tensor:
        """<G, J E> for each problem, by forward mode."""
        found = forward_derivative(self.function, self.x.to(self.device), E.to(self.device))
        return torch.stack([self.inner(y, G.double()) for y, G in zip(found, self.upstream, strict=True)]).sum(dim=0)

    def error(self, slope_along: Callable[[Tensor], Tensor]) -> Tensor:
        """An estimate of ||g - g'|| / ||g||, g' being known by its slopes: the root mean square over directions.

        E || <a, E> ||^2 = ||a||^2 ||E||^2 / dimensions for a random direction E.
        """
        unit = self.norm(self.gradient) * self.norm(self.x) / self.dimensions**0.5
        found = [(slope_along(E) - self.inner(self.gradient, E)) / unit for E in self.directions()]
        return torch.stack(found).square().mean(dim=0).sqrt()
