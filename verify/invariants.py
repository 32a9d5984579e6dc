"""Checks of inverse square roots that need no truth: what must hold between answers to related questions.

Every budget is a multiple of the implementation's own, that of `forward` or `steps`. Two answers within their
budgets of the truth lie within twice that of each other, and rounding the second question adds no more than
another. Where both questions hold the same numbers, only the order of sums can differ, and `SAME_NUMBERS` is allowed.
"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.problems import Problem
from ndbench.targets import Exact, Steps
from ndbench.verify import metrics
from ndbench.verify.answers import answer, question, respond
from ndbench.verify.check import Measurement
from ndbench.verify.values import allowed, judgeable_truths

Batch = NDArray[np.float64]

SAME_NUMBERS = 0.25
"""The share of a budget by which two answers to the same numbers may differ: the rest of it is the condition's."""


def scaling(implementation: Implementation, problem: Problem) -> Measurement:
    """f(16 A) = f(A) / 4: bit by bit where declared scale-free, within a quarter of the budget otherwise.

    Bit by bit means but for half a subnormal spacing, which f(16 A) loses where the type underflows (float16 does).
    """
    scaled = respond(implementation, question(problem) * 16) * 4
    if implementation.scale_free:
        bits = torch.finfo(problem.dtype)
        difference = np.abs(scaled - answer(implementation, problem)).max()
        return Measurement(float(difference), 4 * bits.smallest_normal * bits.eps / 2)
    return _agreement(implementation, problem, scaled, SAME_NUMBERS)


def homogeneous(implementation: Implementation) -> bool:
    """Whether the target obeys f(16 A) = f(A) / 4: all but the unscaled Denman-Beavers steps."""
    target = implementation.target
    return not (
        isinstance(target, Steps) and target.iteration.startswith("denman_beavers") and target.scaled_steps == 0
    )


def similarity(implementation: Implementation, problem: Problem) -> Measurement:
    """f(Q A Q^T) = Q f(A) Q^T for a random orthogonal Q, within three budgets."""
    n = problem.n
    Q, _ = np.linalg.qr(np.random.default_rng(n).standard_normal((n, n)))
    A = question(problem).double().numpy()
    rotated = Q @ A @ Q.T
    found = respond(implementation, torch.from_numpy((rotated + rotated.mT) / 2).to(problem.dtype))
    return _agreement(implementation, problem, Q.T @ found @ Q, 3)


def permutation(implementation: Implementation, problem: Problem) -> Measurement:
    """f(P A P^T) = P f(A) P^T for a signed permutation, which rounds nothing, within two budgets."""
    rng = np.random.default_rng(problem.n)
    order = torch.from_numpy(rng.permutation(problem.n))
    sign = torch.from_numpy(rng.choice([-1.0, 1.0], problem.n)).to(problem.dtype)
    found = respond(implementation, sign[:, None] * question(problem)[:, order][:, :, order] * sign)
    back = sign.double().numpy()[:, None] * found * sign.double().numpy()
    inverse = np.argsort(order.numpy())
    return _agreement(implementation, problem, back[:, inverse][:, :, inverse], 2)


def block_diagonal(implementation: Implementation, problem: Problem) -> Measurement:
    """f(diag(A, B)) = diag(f(A), f(B)), within two budgets.

    T-step maps scale by the norm or the determinant of the whole, so of them only the zero blocks are judged.
    """
    A = question(problem)
    n = problem.n
    zero = torch.zeros_like(A)
    other = A.flip(0)
    joined = torch.cat([torch.cat([A, zero], dim=2), torch.cat([zero, other], dim=2)], dim=1)
    found = respond(implementation, joined)
    coupling = metrics.frobenius(found[:, :n, n:]) + metrics.frobenius(found[:, n:, :n])
    true = judgeable_truths(implementation, problem)
    budget = 2 * allowed(implementation, problem.dtype, true)
    measured = coupling / metrics.frobenius(found)
    if isinstance(implementation.target, Exact):
        measured = np.maximum(measured, metrics.relative_error(found[:, :n, :n], answer(implementation, problem)))
    return Measurement(*metrics.worst(measured, budget))


def batch_independence(implementation: Implementation, problem: Problem) -> Measurement:
    """An answer does not depend on batch mates: alone or beside a far larger matrix, only the order of sums differs."""
    A = question(problem)
    alone = np.concatenate([respond(implementation, A[i : i + 1]) for i in range(len(A))])
    beside = [respond(implementation, torch.stack([matrix, _large(matrix)]))[:1] for matrix in A]
    return _worst(_agreement(implementation, problem, X, SAME_NUMBERS) for X in (alone, np.concatenate(beside)))


def strides(implementation: Implementation, problem: Problem) -> Measurement:
    """Transposed, strided and expanded inputs give the answer of their contiguous copies, but for the order of sums."""
    # views of what lies on the device already: the way there packs them
    A = question(problem).to(implementation.place)
    # of a batch expanded without a copy only the first matrix is the problem's
    expanded = _respond_to_view(implementation, A[:1].expand(len(A), -1, -1))
    first_repeated = np.concatenate([expanded[-1:], answer(implementation, problem)[1:]])
    found = [_respond_to_view(implementation, view) for view in (_transposed(A), _strided(A))]
    return _worst(_agreement(implementation, problem, X, SAME_NUMBERS) for X in (*found, first_repeated))


def leading_dimensions(implementation: Implementation, problem: Problem) -> Measurement:
    """One matrix alone, and a batch of any shape, get the answers of the batch, but for the order of sums."""
    A = question(problem)
    single = np.stack([respond(implementation, matrix) for matrix in A])
    nested = respond(implementation, A[None, :, None])[0, :, 0]
    return _worst(_agreement(implementation, problem, X, SAME_NUMBERS) for X in (single, nested))


def inputs_unchanged(implementation: Implementation, problem: Problem) -> Measurement:
    """The input has the same bits after the call."""
    A = question(problem).to(implementation.place, copy=True)
    before = A.clone()
    implementation.function(A)
    return Measurement(float((A - before).abs().max()), 0.0)


def repeatability(implementation: Implementation, problem: Problem) -> Measurement:
    """Two runs agree bit by bit, though another question came between, and the first answer is not overwritten."""
    A = question(problem).to(implementation.place)
    first = implementation.function(A)
    kept = first.clone()
    implementation.function(A * 3)
    overwritten = (first - kept).abs().max()
    different = (implementation.function(A) - kept).abs().max()
    return Measurement(float(torch.maximum(overwritten, different)), 0.0)


def _agreement(implementation: Implementation, problem: Problem, X: Batch, budgets: float) -> Measurement:
    """How far X is from the implementation's own answer, beside so many of its budgets."""
    true = judgeable_truths(implementation, problem)
    reference = answer(implementation, problem)
    measured, budget = metrics.worst(
        metrics.frobenius(X - reference) / metrics.frobenius(true.value),
        budgets * allowed(implementation, problem.dtype, true),
    )
    return Measurement(measured, budget, {"kappa": float(true.kappa.max())})


def _worst(found: Iterable[Measurement]) -> Measurement:
    """The measurement with the largest ratio; NaN counts as infinite."""
    return max(found, key=lambda m: np.nan_to_num(m.measured, nan=np.inf) / m.budget)


def _large(matrix: Tensor) -> Tensor:
    """A well-conditioned batch mate, 2^6 times as large as the matrix."""
    size = matrix.diagonal().max() * 64
    return torch.diag(torch.linspace(1, 2, len(matrix)).to(matrix) * size)


def _transposed(A: Tensor) -> Tensor:
    return A.mT.contiguous().mT


def _strided(A: Tensor) -> Tensor:
    """Every second row and column of a larger tensor whose other entries are NaN."""
    larger = torch.full((len(A), 2 * A.shape[1], 2 * A.shape[2]), torch.nan).to(A)
    larger[:, ::2, ::2] = A
    return larger[:, ::2, ::2]


def _respond_to_view(implementation: Implementation, view: Tensor) -> Batch:
    """The answer to a view, handed over without the copy that would make it contiguous."""
    found: Tensor = implementation.function(view)
    return np.asarray(found.detach().to("cpu", torch.float64))
