"""How an implementation is differentiated: by autograd, through whatever its function registers.

The function may return one tensor or several; the upstream gradients are as many.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from ndbench.verify.answers import BrokenPromise
from ndbench.verify.verdict import NotRun

Function = Callable[[Tensor], Any]


class NoGradient(NotRun):
    """The function gives no gradient: a verdict only where it promises one."""


class NoForwardMode(NotRun):
    """The function cannot be differentiated in forward mode: a verdict only where it promises to be."""


def outputs(function: Function, x: Tensor) -> tuple[Tensor, ...]:
    """What the function returns for x, as a tuple."""
    found = function(x)
    return (found,) if isinstance(found, Tensor) else tuple(found)


def values(function: Function, x: Tensor) -> tuple[Tensor, ...]:
    """What it returns for a copy of x, detached, in float64 on the CPU."""
    with torch.no_grad():
        return tuple(y.to("cpu", torch.float64) for y in outputs(function, x.clone()))


@dataclass(frozen=True, eq=False)
class Recorded:
    """A forward pass that was recorded, ready to be pulled back."""

    leaf: Tensor
    found: tuple[Tensor, ...]

    def pull_back(self, upstream: Sequence[Tensor]) -> Tensor:
        """The gradient of sum <G, y> with respect to the input, in float64 on the CPU.

        Raises:
            BrokenPromise: if it is missing, or not of the input's shape and type.
            NoGradient: if the backward pass says that there is none.
        """
        pairs = [(y, G.to(y.device)) for y, G in zip(self.found, upstream, strict=True) if y.requires_grad]
        ys, Gs = zip(*pairs, strict=True)
        try:
            (g,) = torch.autograd.grad(ys, self.leaf, Gs, allow_unused=True)
        except NotImplementedError as error:
            raise NoGradient(f"refuses to be differentiated: {error}") from error
        if g is None or g.shape != self.leaf.shape or g.dtype != self.leaf.dtype:
            got = "none" if g is None else f"{tuple(g.shape)} {g.dtype}"
            raise BrokenPromise(f"the gradient must be a tensor {tuple(self.leaf.shape)} {self.leaf.dtype}; got {got}")
        return g.detach().to("cpu", torch.float64)


def record(function: Function, x: Tensor, device: str = "cpu") -> Recorded:
    """Run the function on a copy of x that asks for its gradient.

    Raises:
        NoGradient: if the answer carries no gradient at all, as one computed by numpy, or the function refuses an input
            that asks for one.
    """
    return record_leaf(function, x.to(device, copy=True).requires_grad_())


def record_leaf(function: Function, leaf: Tensor) -> Recorded:
    """The same at a leaf that asks for its gradient, in whatever layout it has."""
    found = _differentiable_outputs(function, leaf)
    if not any(y.requires_grad for y in found):
        raise NoGradient("its answer carries no gradient")
    return Recorded(leaf, found)


def _differentiable_outputs(function: Function, leaf: Tensor) -> tuple[Tensor, ...]:
    try:
        return outputs(function, leaf)
    except (ValueError, TypeError, RuntimeError) as error:
        # what fails without a gradient as well is no refusal of derivatives
        try:
            outputs(function, leaf.detach().clone())
        except NotImplementedError as unserved:
            raise NotRun(f"does not serve this: {unserved}") from unserved
        raise NoGradient(f"refuses to be differentiated: {error}") from error


def gradient(function: Function, x: Tensor, upstream: Sequence[Tensor], device: str = "cpu") -> Tensor:
    """The gradient of sum <G, y> at a copy of x, in float64."""
    return record(function, x, device).pull_back([G.clone() for G in upstream])


def interleaved(function: Function, x: Tensor, upstream: Sequence[Tensor], device: str = "cpu") -> int:
    """How many entries of a gradient differ once another pass of the same shape comes between its two halves."""
    wanted = gradient(function, x, upstream, device)
    first = record(function, x, device)
    record(function, 2 * x.flip(0), device).pull_back([-G for G in upstream])
    return int((first.pull_back([G.clone() for G in upstream]) != wanted).sum())


def inputs_changed(function: Function, x: Tensor, upstream: Sequence[Tensor], device: str = "cpu") -> int:
    """How many entries of x and G are not what they were after the backward pass."""
    given = [G.to(device, copy=True) for G in upstream]
    recorded = record(function, x, device)
    recorded.pull_back(given)
    pairs = zip((recorded.leaf, *given), (x, *upstream), strict=True)
    return sum(int((after.detach().cpu() != before).sum()) for after, before in pairs)


def forward_derivative(function: Function, x: Tensor, E: Tensor) -> tuple[Tensor, ...]:
    """J E by forward-mode differentiation, in float64.

    Raises:
        NoForwardMode: if the function raises, or an answer carries no tangent.
    """
    try:
        with forward_ad.dual_level(), warnings.catch_warnings():
            # torch compiles its own forward-mode formulas in a way that it has deprecated itself
            warnings.simplefilter("ignore", DeprecationWarning)
            duals = outputs(function, forward_ad.make_dual(x.clone(), E.to(x.dtype)))  # type: ignore[no-untyped-call]
            tangents = [forward_ad.unpack_dual(y).tangent for y in duals]  # type: ignore[no-untyped-call]
    except (RuntimeError, NotImplementedError) as error:
        raise NoForwardMode(f"refuses forward mode: {error}") from error
    if any(tangent is None for tangent in tangents):
        raise NoForwardMode("its answer carries no tangent in forward mode")
    return tuple(tangent.detach().to("cpu", torch.float64) for tangent in tangents)
