"""Wiring tests: torch's gradcheck and gradgradcheck, whose tolerances pass nearly any error of the arithmetic.

They see what the other rungs do not ask for: gradients of gradients, undefined upstream gradients, and registration.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.gradcheck import GradcheckError

from ndbench.verify.check import Measurement
from ndbench.verify.gradients.differentiation import Function, outputs, record
from ndbench.verify.verdict import NotRun

REFUSED = (RuntimeError, NotImplementedError)
ENTRIES = 12
"""Up to so many entries of x every derivative is compared; beyond, random projections of them."""


class NoSecondDerivative(NotRun):
    """The gradient cannot be differentiated: a verdict only where that is promised."""


def wiring(function: Function, x: Tensor) -> Measurement:
    """Measured is whether gradcheck fails.

    Raises:
        NoGradient: if the answer carries no gradient, or refuses to be differentiated.
    """
    recorded = record(function, x)
    recorded.pull_back([torch.ones_like(y) for y in recorded.found])
    return _verdict(torch.autograd.gradcheck, function, x)


def second_derivative(function: Function, x: Tensor) -> Measurement:
    """Measured is whether gradgradcheck fails.

    Raises:
        NoGradient: as `wiring`.
        NoSecondDerivative: if differentiating a gradient raises an error, or it depends on nothing.
    """
    leaf = record(function, x).leaf
    found = [y for y in outputs(function, leaf) if y.requires_grad]
    try:
        (g,) = torch.autograd.grad([(y * y).sum() for y in found], leaf, create_graph=True)
        torch.autograd.grad(g.sum(), leaf)
    except REFUSED as error:
        raise NoSecondDerivative(f"refuses second derivatives: {str(error).strip().splitlines()[0]}") from error
    return _verdict(torch.autograd.gradgradcheck, function, x)


def _verdict(check: Callable[..., Any], function: Function, x: Tensor) -> Measurement:
    complaint = _failure(check, function, x)
    return Measurement(float(bool(complaint)), 0, {"complaint": complaint} if complaint else {})


def _failure(check: Callable[..., Any], function: Function, x: Tensor) -> str:
    """What a check complains of; empty if it passes."""
    leaf = x.clone().requires_grad_()
    try:
        check(function, (leaf,), fast_mode=x.numel() > ENTRIES)
    except GradcheckError as error:
        return str(error).strip().splitlines()[0]
    return ""
