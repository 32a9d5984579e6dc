"""The rungs for inverse square roots: each judges one implementation on one problem."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.problems import dtype_name
from ndbench.targets import Exact, Target
from ndbench.verify import metrics
from ndbench.verify.check import Measurement
from ndbench.verify.gradients import budgets
from ndbench.verify.gradients.differences import best_difference, remainder_slope
from ndbench.verify.gradients.differences import transposed as against_forward_mode
from ndbench.verify.gradients.differentiation import Function, gradient, inputs_changed, interleaved, record_leaf
from ndbench.verify.gradients.layouts import sparse, transposed
from ndbench.verify.gradients.phi import Phi
from ndbench.verify.gradients.problems import RootGradientProblem, matrices
from ndbench.verify.gradients.truths import MULTIPRECISION_ORDER, Truths, truths
from ndbench.verify.gradients.wiring import second_derivative as second_derivative_of
from ndbench.verify.gradients.wiring import wiring as wiring_of
from ndbench.verify.oracles.derivatives_block import (
    block_derivatives,
    complex_step_derivatives,
    gradient_by,
    lyapunov_gradient,
)
from ndbench.verify.verdict import Evidence, NotRun

Batch = NDArray[np.float64]
Oracle = Callable[[Batch, Target, Batch], Batch]
Rung = Callable[[Implementation, RootGradientProblem], Measurement]


def closed_form(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """||g - g*||_F / ||g*||_F <= u ((32 + n) c + 16 max(1, r)), g* in the eigenbasis; see `budgets.root` for halves.

    On symmetric matrices only the symmetric part of a gradient is determined. The rest may be zero, or that of the same
    formula for non-symmetric matrices, but nothing else: a transposed gradient is neither.
    """
    true = judgeable(implementation, problem)
    return compare(answer(implementation, problem), implementation, problem, true)


def compare(g: Batch, implementation: Implementation, problem: RootGradientProblem, true: Truths) -> Measurement:
    """The worst matrix's error beside its budget; g may have the batch several times over, (..., batch, n, n)."""
    distance = np.minimum(metrics.frobenius(g - true.symmetric), metrics.frobenius(g - true.general))
    measured = distance / metrics.frobenius(true.symmetric)
    budget = np.broadcast_to(allowed(implementation, problem, true), measured.shape)
    return Measurement(*metrics.worst(measured.ravel(), budget.ravel()), _evidence(true))


def without_eigenvalues(name: str, oracle: Oracle) -> Rung:
    """The same with 1.5 times the budget, g' from an oracle that computes no eigenvalues."""

    def rung(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
        true = judgeable(implementation, problem)
        A, G = (tensor.double().numpy() for tensor in matrices(problem))
        found = np.stack([oracle(a, implementation.target, (g + g.T) / 2) for a, g in zip(A, G, strict=True)])
        g = answer(implementation, problem)
        error = metrics.relative_error((g + g.mT) / 2, found)
        budget = budgets.WITHOUT_EIGENVALUES * allowed(implementation, problem, true)
        return Measurement(*metrics.worst(error, budget), _evidence(true))

    rung.__doc__ = f"||sym(g) - g'||_F / ||g'||_F <= 1.5 u ((32 + n) c + 16 max(1, r)), g' by {name}."
    return rung


lyapunov = without_eigenvalues("the Lyapunov equation", lambda A, target, G: lyapunov_gradient(A, G))
block_matrix = without_eigenvalues(
    "the function of [[A, E], [0, A]]", lambda A, target, G: gradient_by(block_derivatives, A, target, G)
)
complex_step = without_eigenvalues(
    "a complex step", lambda A, target, G: gradient_by(complex_step_derivatives, A, target, G)
)


def differences(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """||g - g'|| / ||g|| <= 8 (1 + n / 8) (u max(kappa, c))^(2/3), g' by central differences of the implementation."""
    true = judgeable(implementation, problem)
    steepest = _steepest(true)
    measured = best_difference(phi(implementation, problem), torch.from_numpy(steepest))
    u = implementation.unit_roundoff(problem.dtype)
    budget = np.array([budgets.differences(u, k, problem.n**2) for k in steepest])
    return Measurement(*metrics.worst(measured, budget), _evidence(true))


def dot_product(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """<G, J E> = <J^T G, E> within 4 u (2 c + max(1, r)) (1 + n), J E by forward mode."""
    true = judgeable(implementation, problem)
    measured = against_forward_mode(phi(implementation, problem))
    u = implementation.unit_roundoff(problem.dtype)
    budget = [budgets.transpose(u, problem.n**2, *figures) for figures in _sensitivity(true)]
    return Measurement(*metrics.worst(measured, np.array(budget)), _evidence(true))


def taylor(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """|p - 2| <= 0.1, p the slope of the first-order Taylor remainder."""
    true = judgeable(implementation, problem)
    slopes = remainder_slope(phi(implementation, problem), torch.from_numpy(1 + true.condition))
    budget = np.full(len(slopes), budgets.TAYLOR)
    return Measurement(*metrics.worst(abs(slopes - 2), budget), {**_evidence(true), "slope": float(slopes.min())})


def batch_independence(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """The gradient of each matrix alone is the one it has in the batch, within half the budget of the closed form."""
    true = judgeable(implementation, problem)
    A, G = matrices(problem)
    device = implementation.place
    alone = [gradient(implementation.function, A[i : i + 1], [G[i : i + 1]], device) for i in range(len(A))]
    difference = metrics.frobenius(torch.cat(alone).numpy() - answer(implementation, problem))
    budget = budgets.SAME_NUMBERS * allowed(implementation, problem, true)
    return Measurement(*metrics.worst(difference / metrics.frobenius(true.symmetric), budget), _evidence(true))


def interleaving(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """A gradient is the same bit by bit after another forward and backward pass of the same shape in between.

    Measured is the number of entries that differ.
    """
    judgeable(implementation, problem)
    A, G = matrices(problem)
    return Measurement(interleaved(implementation.function, A, [G], implementation.place), 0)


def strides(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """The gradient does not depend on how A and G lie in memory, within half the budget of the closed form.

    G is transposed, every second row and column of a larger tensor, and one matrix for the whole batch; A likewise.
    """
    true = judgeable(implementation, problem)
    A, G = (tensor.to(implementation.place) for tensor in matrices(problem))
    one = G[:1].expand(G.shape)
    layouts = ((A, transposed(G)), (A, sparse(G)), (A, one), (transposed(A), G), (sparse(A), sparse(G)))
    contiguous = {id(G): answer(implementation, problem), id(one): _gradient_of(implementation, A, one.contiguous())}
    difference = [
        metrics.frobenius(_gradient_of(implementation, a, g) - contiguous[id(one if g is one else G)])
        for a, g in layouts
    ]
    budget = budgets.SAME_NUMBERS * allowed(implementation, problem, true)
    measured = np.max(difference, axis=0) / metrics.frobenius(true.symmetric)
    return Measurement(*metrics.worst(measured, budget), _evidence(true))


def leading_dimensions(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """The gradient of one matrix, and of a batch in several dimensions, is that of the batch, within the same."""
    true = judgeable(implementation, problem)
    A, G = (tensor.to(implementation.place) for tensor in matrices(problem))
    n, wanted = problem.n, answer(implementation, problem)
    deep = [tensor.reshape(1, len(A), 1, n, n) for tensor in (A, G)]
    alone = np.stack([_gradient_of(implementation, a, g) for a, g in zip(A, G, strict=True)])
    found = (_gradient_of(implementation, *deep).reshape(-1, n, n), alone)
    difference = np.max([metrics.frobenius(g - wanted) for g in found], axis=0)
    budget = budgets.SAME_NUMBERS * allowed(implementation, problem, true)
    return Measurement(*metrics.worst(difference / metrics.frobenius(true.symmetric), budget), _evidence(true))


def inputs_unchanged(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """A and G are what they were after the backward pass: the number of entries that differ is 0."""
    judgeable(implementation, problem)
    A, G = matrices(problem)
    return Measurement(inputs_changed(implementation.function, A, [G], implementation.place), 0)


def answer(implementation: Implementation, problem: RootGradientProblem) -> Batch:
    """The implementation's gradient, (batch, n, n), in float64 and not made symmetric."""
    A, G = matrices(problem)
    return gradient(implementation.function, A, [G], implementation.place).numpy()


def phi(implementation: Implementation, problem: RootGradientProblem) -> Phi:
    """<G, f(A)> for the rungs without an oracle."""
    A, G = matrices(problem)
    return Phi(implementation.function, A, (G,), each=2, symmetric=True, device=implementation.place)


def judgeable(implementation: Implementation, problem: RootGradientProblem) -> Truths:
    """The truth about a problem.

    Raises:
        NotRun: if the type has no correct digit left, or the truth has not enough of them.
    """
    if problem.dtype == torch.float64 and problem.n > MULTIPRECISION_ORDER:
        raise NotRun(f"the truth at order {problem.n} is too slow to be had in more than float64")
    true = truths(problem, implementation.target)
    if allowed(implementation, problem, true).max() > budgets.VACUOUS:
        dtype = dtype_name(problem.dtype)
        raise NotRun(f"beyond {dtype}: rounding may move the gradient by more than {budgets.VACUOUS} of itself")
    return true


def allowed(implementation: Implementation, problem: RootGradientProblem, true: Truths) -> Batch:
    """The budget of the closed form for each matrix of a problem."""
    u, dtype, widened = implementation.unit_roundoff(problem.dtype), problem.dtype, implementation.widened
    found = [budgets.root(u, problem.n, *figures, dtype=dtype, widened=widened) for figures in _sensitivity(true)]
    return np.array(found)


def wiring(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """Gradcheck passes on A -> f((A + A^T) / 2)."""
    return wiring_of(_of_symmetric_part(implementation), matrices(problem)[0].to(implementation.place))


def second_derivative(implementation: Implementation, problem: RootGradientProblem) -> Measurement:
    """Gradgradcheck passes on A -> f((A + A^T) / 2)."""
    return second_derivative_of(_of_symmetric_part(implementation), matrices(problem)[0].to(implementation.place))


def exact(implementation: Implementation) -> bool:
    """Whether the implementation claims the inverse square root itself."""
    return isinstance(implementation.target, Exact)


def _gradient_of(implementation: Implementation, A: Tensor, G: Tensor) -> Batch:
    """The gradient at A and G in the layout that they have."""
    return record_leaf(implementation.function, A.detach().requires_grad_()).pull_back([G]).numpy()


def _of_symmetric_part(implementation: Implementation) -> Function:
    return lambda M: implementation.function((M + M.mT) / 2)


def _steepest(true: Truths) -> Batch:
    return np.maximum(true.kappa, true.condition)


def _sensitivity(true: Truths) -> list[tuple[float, float]]:
    """For each matrix c and r."""
    return list(zip(true.condition.tolist(), true.rounding.tolist(), strict=True))


def _evidence(true: Truths) -> Evidence:
    largest = {name: float(getattr(true, name).max()) for name in ("kappa", "condition", "rounding")}
    return {**largest, "truth": true.source}
