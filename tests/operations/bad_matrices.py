"""Matrices that have no inverse square root, and what the public functions say of them."""

import re

import pytest
import torch

from tests.roots.spd import FIVE_FOUR

NOT_A_NUMBER = FIVE_FOUR.index_fill(0, torch.tensor([1]), torch.nan)
INFINITE = FIVE_FOUR.index_fill(1, torch.tensor([0]), torch.inf)
SKEWED = torch.tensor([[5.0, 4.0], [4.001, 5.0]], dtype=torch.float64)
INDEFINITE = torch.tensor([[1.0, 2.0], [2.0, 1.0]], dtype=torch.float64)
SINGULAR = torch.ones(2, 2, dtype=torch.float64)
BAD = {
    "NaN": (NOT_A_NUMBER, "NaN or infinite entries"),
    "infinite": (INFINITE, "NaN or infinite entries"),
    "not symmetric": (SKEWED, "not symmetric beyond rounding"),
    "indefinite": (INDEFINITE, "not positive definite"),
    "negative definite": (-FIVE_FOUR, "not positive definite"),
    "zero": (torch.zeros_like(FIVE_FOUR), "not positive definite"),
}
every_fault = pytest.mark.parametrize("fault", BAD)


def exactly(message):
    return f"^{re.escape(message)}$"


def refusal(name, which, fault):
    """The whole message for matrices that are at fault."""
    return exactly(
        f"{name}: A must be symmetric positive definite and finite; {which}: {fault}. Add eps I to a covariance that "
        "may be singular, or pass check=False to get NaN in just these matrices"
    )
