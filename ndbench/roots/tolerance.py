"""Run an iteration until each matrix of a batch has converged, and say how it ended."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice

import torch
from torch import Tensor

from ndbench.roots.precision import identity_like


class Status(IntEnum):
    """How the iteration ended for one matrix."""

    CONVERGED = 0
    """The residual fell to the tolerance."""
    STAGNATED = 1
    """Rounding, or overflow, stopped the residual above the tolerance; the answer is the best iterate."""
    LIMIT = 2
    """The residual was still falling at the last step allowed."""
    INVALID = 3
    """The matrix is not symmetric positive definite; the answer is NaN."""


@dataclass(frozen=True)
class Convergence:
    """Answers of a tolerance-driven iteration, one status, count and residual a matrix.

    Attributes:
        D: approximations of A^(-1/2), shape (..., n, n).
        status: values of `Status`, int64, shape (...).
        steps: steps taken to reach D, int64, shape (...).
        residual: ||I - Z Y||_F (||I - M||_F in product form) of D's iterate, shape (...).
    """

    D: Tensor
    status: Tensor
    steps: Tensor
    residual: Tensor


def until(
    iterates: Iterator[tuple[Tensor, Tensor]], tolerance: float, max_steps: int, settling: int = 0
) -> Convergence:
    """Draw (X_k, P_k) from `iterates` until ||I - P_k||_F <= tolerance for every matrix, or nothing improves.

    A matrix that has ended is frozen: its answer does not depend on how long the others of its batch take. Below 1/2
    the residual of a convergent iteration at least halves in each step; once it does not, rounding has the word and the
    matrix has stagnated. Above 1/2 an eigenvalue may still be on its way for many steps.

    Args:
        iterates: pairs of shape (..., n, n) each; P_k tends to I as X_k tends to the answer.
        tolerance: bound on the Frobenius norm of I - P_k.
        max_steps: steps after which matrices still improving get `Status.LIMIT`.
        settling: first steps in which the residual may rise again, so that none of them is a stagnation. Minimax steps
            level the error over an interval, and so spoil an eigenvalue that happened to be near 1.
    """
    D, P = next(iterates)
    residual = _residual(P)
    steps = torch.zeros_like(residual, dtype=torch.int64)
    status = torch.where(residual <= tolerance, int(Status.CONVERGED), int(Status.LIMIT))
    for k, (X, P) in enumerate(islice(iterates, max_steps), start=1):
        running = status == Status.LIMIT
        if not running.any():
            break
        r = _residual(P)
        # an iterate that overflowed is no answer, and nothing after it will be
        broken = ~(r.isfinite() & X.isfinite().all(dim=-1).all(dim=-1))
        judged = (residual < 0.5) & (k > settling)
        stuck = running & (broken | (judged & ~(r <= residual / 2)))
        better = running & ~broken & (~judged | (r < residual))
        D = torch.where(better[..., None, None], X, D)
        steps, residual = torch.where(better, k, steps), torch.where(better, r, residual)
        status[stuck] = Status.STAGNATED
        status[better & (residual <= tolerance)] = Status.CONVERGED
    return Convergence(D, status, steps, residual)


def _residual(P: Tensor) -> Tensor:
    residual: Tensor = torch.linalg.matrix_norm(identity_like(P) - P, dtype=torch.float64)
    return residual
