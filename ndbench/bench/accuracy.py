"""How wrong a contender is, and how wrong its precision allows it to be: a wrong one is not timed."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from ndbench.bench.workloads import Contender, Differentiable, Workload, passes
from ndbench.kernels.precision import PRECISIONS, product_roundoff
from ndbench.verify.budgets import VACUOUS

STEP = 1e-6
"""Relative change of the input by which the condition is measured, in float64."""

Answers = tuple[Tensor, ...]


@dataclass(frozen=True)
class Truth:
    """What is right in each direction, and how far rounding may move it.

    Attributes:
        answers: outputs in the direction "forward", gradients in "forward+backward", in float64.
        conditions: the relative change of the answers over that of the input, of both directions.
    """

    answers: Mapping[str, Answers]
    conditions: Mapping[str, float]


class Standard:
    """The truths of one workload, each computed once for all contenders that share it."""

    def __init__(self, workload: Workload, x: Tensor) -> None:
        self.workload = workload
        self.x, self.dtype = x.double(), x.dtype
        self._truth = cache(self._computed)

    def truth(self, contender: Contender) -> Truth:
        """What a contender has to compute."""
        return self._truth(self.workload.truth_of(contender), contender.parameters)

    def error(self, found: Answers, contender: Contender, direction: str) -> float:
        """||y - y*||_F / ||y*||_F of all answers together; of symmetric inputs the gradient's symmetric part."""
        return distance(self._determined(found, direction), self.truth(contender).answers[direction])

    def allowed(self, contender: Contender, direction: str) -> float:
        """The error that a contender may have: (u (32 + n + sqrt(M)) + 16 (v - u)) max(1, c), 0.5 at most.

        u = 2^-24 is the unit roundoff of float32 and v that of the contender's products, or of the type of input and
        answers if that is coarser. A right implementation is backward stable up to sums: it solves a problem whose
        input is off by (32 + n) u for products of order n, as in `ndbench.verify.gradients.budgets.closed_form`, and by
        sqrt(M) u where M rows are added up, with errors of both signs. Coarser products round each operand once,
        whatever n is, and about a dozen products follow one another. The condition c passes this on; it is measured on
        the truth. So an error above this is a mistake, and not rounding; how close right implementations come is for
        `ndbench verify` to say.
        """
        u, v = torch.finfo(torch.float32).eps / 2, self._roundoff(contender)
        backward = u * (32 + self.workload.order + math.sqrt(self.workload.rows)) + 16 * (v - u)
        return min(backward * max(1.0, self.truth(contender).conditions[direction]), VACUOUS)

    def _roundoff(self, contender: Contender) -> float:
        return product_roundoff(self.dtype, contender.precision if contender.precision in PRECISIONS else "ieee")

    def _computed(self, truth: Differentiable, parameters: tuple[Tensor, ...]) -> Truth:
        answers = self._answers(truth, parameters, self.x)
        moved = self._answers(truth, parameters, self.x + self._change())
        conditions = {direction: distance(moved[direction], answers[direction]) / STEP for direction in answers}
        return Truth(answers, conditions)

    def _answers(self, truth: Differentiable, parameters: tuple[Tensor, ...], x: Tensor) -> dict[str, Answers]:
        exact = tuple(p.detach().double().requires_grad_() for p in parameters)
        in_float64 = Contender(lambda x: truth(x, *exact), parameters=exact)
        return {
            direction: tuple(y.detach() for y in self._determined(run(), direction))
            for direction, run in passes(in_float64, x)
        }

    def _change(self) -> Tensor:
        """A random change of the input, of each matrix relative to its norm."""
        rng = torch.Generator().manual_seed(1)
        E = torch.randn(self.x.shape, generator=rng, dtype=torch.float64).to(self.x)
        axes = None
        if self.workload.symmetric:
            E, axes = E + E.mT, (-2, -1)
        size, drawn = (torch.linalg.vector_norm(y, dim=axes, keepdim=True) for y in (self.x, E))
        change: Tensor = STEP * size / drawn * E
        return change

    def _determined(self, answers: Answers, direction: str) -> Answers:
        if direction == "forward" or not self.workload.symmetric:
            return answers
        return tuple((g + g.mT) / 2 for g in answers)


def distance(found: Answers, true: Answers) -> float:
    """||y - y*||_F / ||y*||_F of all together; infinite where only y* is 0.

    Example:
        >>> distance((torch.tensor([3.0, 4.5]),), (torch.tensor([3.0, 4.0]),))
        0.1
    """
    off = sum(float((y.detach().double() - t.double()).square().sum()) for y, t in zip(found, true, strict=True))
    size = sum(float(t.double().square().sum()) for t in true)
    return math.sqrt(off / size) if size > 0 else (0.0 if off == 0 else math.inf if off > 0 else math.nan)
