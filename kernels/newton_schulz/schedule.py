"""The products of T steps, and of their tangent, as data: what is multiplied in which order, and kept where.

Every iterate is a polynomial of one symmetric matrix M_0 = A / ||A||_F, so all products are of commuting symmetric
matrices, and symmetric. The forms are (docs/kernels.md says why just these are stable)

    cubic:    W = a M + b M M,           M <- a W + b W M,    Z <- a Z + b Z M (the old M)
    quintic:  H = a I + b M + c M M,     M <- (H M) H,        Z <- Z H

with Z_1 = a I + b M_0 or Z_1 = H, which multiply nothing by Z_0 = I, and without the last M: 3T - 3 products of cubic
steps, 4T - 3 of quintic ones. Everything is a phase

    OUT <- delta I + beta L + gamma L R.

**Tangent.** A polynomial of a symmetric matrix has a self-adjoint derivative: its adjoint at G is its tangent in the
direction sym(G). A phase of dual numbers (X, dX) is itself and

    dOUT <- beta dL + gamma (dL R + L dR),

so the adjoint runs the same schedule on pairs, from dM_0 = sym(G), and keeps no iterate: 9 products of a cubic step, of
which tiles need one triangle. A program that holds a whole matrix has its transpose too, and needs 7 full ones: the
derivative of a square M M is R + R^T, R = dM M, and that of M <- H M H with H = a I + b M is

    dM <- (a X + b X M) + (a X + b X M)^T,    X = a/2 dM + b (R + R^T / 2).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import torch
from torch import Tensor

from ndbench.kernels.tables import kept_on_device
from ndbench.roots.coefficients import Coefficients

OPERANDS, FACTORS = 8, 8
"""Columns of the tables that `tables` makes."""


@dataclass(frozen=True)
class Phase:
    """One or two products: OUT <- delta I + beta ADD + gamma S, S being the sum of L R over the terms.

    On whole matrices flipped_beta ADD^T + flipped_gamma S^T may be added, and OUT need not be symmetric.

    Attributes:
        out: number of the buffer written, which is none of those read.
        add: number of the buffer ADD.
        terms: pairs of buffers (L, R), at most two; none where gamma is zero.
        delta: factor of the identity.
        beta: factor of ADD.
        gamma: factor of the products.
        flipped_beta: factor of the transpose of ADD.
        flipped_gamma: factor of the transpose of the products.
        symmetric: whether OUT is.
        of_square: whether L is the W = a M + b M M of a cubic step, and R its M.
    """

    out: int
    add: int
    terms: tuple[tuple[int, int], ...]
    delta: float
    beta: float
    gamma: float
    flipped_beta: float = 0
    flipped_gamma: float = 0
    symmetric: bool = True
    of_square: bool = False


Group = tuple[Phase, ...]
"""Phases that do not read what another one of them writes."""


@dataclass(frozen=True)
class Schedule:
    """Groups of phases in order, on buffers of which number 0 holds M_0 at first; for a tangent number 1 holds dM_0.

    Attributes:
        groups: each reads what the ones before it wrote.
        buffers: how many there are.
        answer: the number of the buffer that ends as Z_T; a tangent's dZ_T is in the next one.
    """

    groups: tuple[Group, ...]
    buffers: int
    answer: int

    @property
    def phases(self) -> Group:
        """All in order."""
        return tuple(phase for group in self.groups for phase in group)


@lru_cache(maxsize=64)
def steps_schedule(coefficients: tuple[Coefficients, ...]) -> Schedule:
    """T steps with H = a I + b M + c M M, of forms for cubics if no c differs from zero."""
    return _steps(coefficients, _Buffers())


@lru_cache(maxsize=64)
def tangent_schedule(coefficients: tuple[Coefficients, ...], *, whole: bool = False) -> Schedule:
    """The same steps of pairs (X, dX): what was in buffer i is in 2i, its tangent in 2i + 1. M_0 and dM_0 are kept.

    Args:
        coefficients: of the steps.
        whole: whether the transpose of a whole matrix is at hand, which saves products.
    """
    values = _steps(coefficients, _Buffers(kept=0))
    dual = _dual_of_whole if whole else _dual
    groups = tuple(tuple(pair for phase in group for pair in dual(phase)) for group in values.groups)
    return Schedule(groups, 2 * values.buffers, 2 * values.answer)


@kept_on_device
def tables(schedule: Schedule, device: torch.device) -> tuple[Tensor, Tensor]:
    """The phases on the device, copied once, since a copy synchronizes.

    Returns:
        int32 (phases, 8): out, add, symmetric, number of terms, L, R, L, R; and float32 (phases, 8): delta, beta,
        gamma, flipped_beta, flipped_gamma, 0, 0, 0.
    """
    operands = [
        _padded([p.out, p.add, p.symmetric, len(p.terms), *sum(p.terms, ())], OPERANDS) for p in schedule.phases
    ]
    factors = [_padded([p.delta, p.beta, p.gamma, p.flipped_beta, p.flipped_gamma], FACTORS) for p in schedule.phases]
    return (
        torch.tensor(operands, dtype=torch.int32, device=device),
        torch.tensor(factors, dtype=torch.float32, device=device),
    )


def _padded(row: Sequence[float], width: int) -> list[float]:
    return [*row, *(0,) * (width - len(row))]


class _Buffers:
    """Numbers of buffers that are free, the smallest first; `kept` is never free again."""

    def __init__(self, kept: int = -1) -> None:
        self.count = 0
        self.free: list[int] = []
        self.kept = kept

    def take(self) -> int:
        """A free one."""
        if self.free:
            return self.free.pop(0)
        self.count += 1
        return self.count - 1

    def release(self, *numbers: int) -> None:
        """What these hold is not read again."""
        self.free = sorted([*self.free, *(number for number in numbers if number != self.kept)])


def _steps(coefficients: tuple[Coefficients, ...], buffers: _Buffers) -> Schedule:
    quintic = any(c != 0 for _, _, c in coefficients)
    return _quintic_steps(coefficients, buffers) if quintic else _cubic_steps(coefficients, buffers)


def _cubic_steps(coefficients: tuple[Coefficients, ...], buffers: _Buffers) -> Schedule:
    M, Z = buffers.take(), -1
    groups: list[Group] = []
    for k, (a, b, _) in enumerate(coefficients):
        last = k == len(coefficients) - 1
        new = buffers.take()
        of_Z = Phase(new, Z, ((Z, M),), 0, a, b) if k else Phase(new, M, (), a, b, 0)
        if last:
            groups.append((of_Z,))
            return Schedule(tuple(groups), buffers.count, new)
        W = buffers.take()
        groups.append((Phase(W, M, ((M, M),), 0, a, b), of_Z))
        if k:
            buffers.release(Z)
        next_M = buffers.take()
        groups.append((Phase(next_M, W, ((W, M),), 0, a, b, of_square=True),))
        buffers.release(M, W)
        M, Z = next_M, new
    raise ValueError("steps_schedule: there must be at least one step")


def _quintic_steps(coefficients: tuple[Coefficients, ...], buffers: _Buffers) -> Schedule:
    M, Z = buffers.take(), -1
    groups: list[Group] = []
    for k, (a, b, c) in enumerate(coefficients):
        last = k == len(coefficients) - 1
        H = buffers.take()
        groups.append((Phase(H, M, ((M, M),), a, b, c),))
        new = buffers.take() if k else H
        of_Z = (_product(new, Z, H),) if k else ()
        if last:
            return Schedule((*groups, of_Z) if k else tuple(groups), buffers.count, new)
        HM = buffers.take()
        groups.append((_product(HM, H, M), *of_Z))
        buffers.release(M)
        M = buffers.take()
        groups.append((_product(M, HM, H),))
        buffers.release(HM, *((H, Z) if k else ()))
        Z = new
    raise ValueError("steps_schedule: there must be at least one step")


def _product(out: int, left: int, right: int) -> Phase:
    return Phase(out, left, ((left, right),), 0, 0, 1)


def _dual(phase: Phase) -> Group:
    values = tuple((2 * left, 2 * right) for left, right in phase.terms)
    tangents = tuple(pair for left, right in values for pair in ((left + 1, right), (left, right + 1)))
    out, add = 2 * phase.out, 2 * phase.add
    return (
        Phase(out, add, values, phase.delta, phase.beta, phase.gamma),
        Phase(out + 1, add + 1, tangents, 0, phase.beta, phase.gamma),
    )


def _dual_of_whole(phase: Phase) -> Group:
    """The same in fewer products: for W = a M + b M M, which only the new M needs, X takes the place of dW."""
    value, tangent = _dual(phase)
    a, b = phase.beta, phase.gamma
    if phase.of_square:
        X_M = tangent.terms[:1]
        return value, replace(tangent, terms=X_M, flipped_beta=a, flipped_gamma=b)
    if not _is_square(phase):
        return value, tangent
    R = tangent.terms[:1]
    if phase.delta:
        return value, replace(tangent, terms=R, flipped_gamma=b)
    return value, replace(tangent, terms=R, beta=a / 2, flipped_gamma=b / 2, symmetric=False)


def _is_square(phase: Phase) -> bool:
    return any(left == right for left, right in phase.terms)
