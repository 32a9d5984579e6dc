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

REFUSED = (RuntimeError, NotImplementedError)


def wiring(function: Function, x: Tensor) -> Measurement:
    """Measured is how many of gradcheck and gradgradcheck fail; a function may refuse second derivatives aloud.

    Raises:
        NotRun: if the answer carries no gradient, or refuses to be differentiated.
    """
    recorded = record(function, x)
    recorded.pull_back([torch.ones_like(y) for y in recorded.found])
    failed = {"gradcheck": _failure(torch.autograd.gradcheck, function, x)}
    refusal = _refusal(function, x)
    if not refusal:
        failed["gradgradcheck"] = _failure(torch.autograd.gradgradcheck, function, x)
    shown = {name: message for name, message in failed.items() if message}
    second = f"refused: {refusal}" if refusal else "given"
    return Measurement(len(shown), 0, {"second derivatives": second, **shown})


def _failure(check: Callable[..., Any], function: Function, x: Tensor) -> str:
    """What a check complains of; empty if it passes."""
    leaf = x.clone().requires_grad_()
    try:
        check(function, (leaf,))
    except GradcheckError as error:
        return str(error).strip().splitlines()[0]
    return ""


def _refusal(function: Function, x: Tensor) -> str:
    """The first line of the error that a second derivative raises; empty if it is given."""
    leaf = x.clone().requires_grad_()
    found = [y for y in outputs(function, leaf) if y.requires_grad]
    try:
        (g,) = torch.autograd.grad([(y * y).sum() for y in found], leaf, create_graph=True)
        torch.autograd.grad(g.sum(), leaf)
    except REFUSED as error:
        return str(error).strip().splitlines()[0]
    return ""
