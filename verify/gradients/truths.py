"""The true gradients of a problem, and how sensitive they are: computed once for all implementations of a target."""

from dataclasses import dataclass
from functools import lru_cache

import mpmath
import numpy as np
import torch
from numpy.typing import NDArray

from ndbench.targets import Target
from ndbench.verify.gradients.problems import RootGradientProblem, matrices
from ndbench.verify.oracles.derivatives import DIGITS, UNIT, Eigenpairs

Batch = NDArray[np.float64]

MULTIPRECISION_ORDER = 24
"""Up to here mpmath takes about a second for a matrix, and grades float64; float64 grades the coarser types."""
DIRECTIONS = DRAWS = 4
STEP = 1e-3
"""The step, relative to the smallest eigenvalue, over which the sensitivity of a gradient is taken."""


@dataclass(frozen=True, eq=False)
class Truths:
    """The truth about the gradient of <G, f(A)> for a batch.

    Attributes:
        symmetric: the gradient of f on symmetric matrices, (batch, n, n).
        general: that of its extension to all matrices near A; the same for symmetric G.
        condition: of the symmetric gradient: its relative change for a relative change of A in the Frobenius norm.
        rounding: the relative change of the symmetric gradient, in units u, when every operation rounds.
        kappa: condition numbers of A.
        source: the oracle.
    """

    symmetric: Batch
    general: Batch
    condition: Batch
    rounding: Batch
    kappa: Batch
    source: str


@lru_cache(maxsize=256)
def truths(problem: RootGradientProblem, target: Target) -> Truths:
    """Truth for the rounded matrices and upstream gradients of a problem."""
    A, G = (tensor.to(torch.float64).numpy() for tensor in matrices(problem))
    general = np.stack([_gradient(pairs, target, g) for pairs, g in zip(eigenpairs(problem), G, strict=True)])
    return Truths(
        symmetric=(general + general.mT) / 2,
        general=general,
        condition=np.array([condition(a, (g + g.T) / 2, target) for a, g in zip(A, G, strict=True)]),
        rounding=np.array([rounding(a, (g + g.T) / 2, target) for a, g in zip(A, G, strict=True)]),
        kappa=np.linalg.cond(A),
        source=f"closed form, {f'{DIGITS} digits' if problem.dtype == torch.float64 else 'float64'}",
    )


@lru_cache(maxsize=64)
def eigenpairs(problem: RootGradientProblem) -> list[Eigenpairs]:
    """The eigenpairs of the matrices of a problem, in mpmath where float64 is to be graded."""
    found = matrices(problem)[0].to(torch.float64).numpy()
    of = Eigenpairs.in_multiprecision if problem.dtype == torch.float64 else Eigenpairs.in_float64
    return [of(A) for A in found]


def condition(A: Batch, G: Batch, target: Target) -> float:
    """||g(A + E) - g(A - E)|| / (2 ||g(A)||) over ||E|| / ||A||: the largest of a few random symmetric directions E."""
    eigenvalues = np.linalg.eigvalsh(A)
    rng = np.random.default_rng(len(A))
    h = STEP * eigenvalues[0] / np.linalg.norm(A)
    scale = np.linalg.norm(Eigenpairs.in_float64(A).gradient(target, G))
    found = []
    for E in rng.standard_normal((DIRECTIONS, *A.shape)):
        step = (E + E.T) * (h * np.linalg.norm(A) / np.linalg.norm(E + E.T))
        up, down = (Eigenpairs.in_float64(A + s * step).gradient(target, G) for s in (1, -1))
        found.append(np.linalg.norm(up - down) / (2 * h * scale))
    return float(max(found))


def rounding(A: Batch, G: Batch, target: Target) -> float:
    """||g' - g|| / (||g|| unit), g' with every operation on the eigenvalues off by a unit: the largest of a few draws.

    What cancels inside the steps shows here and not in the condition: a minimax step that levels the error takes an
    eigenvalue near 1 close to 0, whatever kappa is. For values it is `ndbench.verify.conditioning.running_error`.
    """
    pairs, random = Eigenpairs.in_float64(A), np.random.default_rng(len(A))
    true = pairs.gradient(target, G)
    moved = [np.linalg.norm(pairs.gradient(target, G, random) - true) for _ in range(DRAWS)]
    return float(max(moved) / (UNIT * np.linalg.norm(true)))


def _gradient(pairs: Eigenpairs, target: Target, G: Batch) -> Batch:
    with mpmath.workdps(DIGITS):
        return pairs.gradient(target, G).astype(np.float64)
