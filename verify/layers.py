"""Checks of layers that are trained: outputs, running averages, evaluation, gradients, against the paper's Algorithm 1.

An implementation is a function of the weight (O, C / groups, kh, kw), the bias (O,) and the keywords of
`LayerProblem.arguments`; it returns a module that maps (N, C, H, W) to (N, O, Ho, Wo) and has the state of
`ndbench.layers`. Linear and channel layers are judged as convolutions of one pixel.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ndbench.catalog import Implementation
from ndbench.layers.whitening import Whitening
from ndbench.targets import Exact, Target
from ndbench.verify import budgets, metrics
from ndbench.verify.check import Check, Measurement
from ndbench.verify.conditioning import amplification, running_error
from ndbench.verify.gradients import layer as rungs
from ndbench.verify.gradients.layer_problems import LayerProblem
from ndbench.verify.gradients.problem_sets import FULL, QUICK
from ndbench.verify.gradients.problem_sets import layer as of_block
from ndbench.verify.oracles.derivatives_layer import output_of, sizes_of, statistics_of

Array = NDArray[Any]
MOMENTUM = 0.3
"""Of the layers that are judged: three batches then count 0.49, 0.7 and 1."""


@dataclass(frozen=True, eq=False)
class Statistics:
    """What the oracle finds in one batch.

    Attributes:
        means: of the blocks, one if they are pooled.
        roots: D of the blocks.
        rows: M, those that a mean adds up.
        levels: mean sizes of the columns that the means add up.
        error: what D may be off by, relative, in units of u.
    """

    means: list[Array]
    roots: list[Array]
    rows: int
    levels: list[Array]
    error: float


def output(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """|y - y*| of training, entry by entry.

    Within u e ||p - mean|| ||D|| ||w|| + u (8 + 2 sqrt(F)) (|p| + |mean|) |D| |w|: y* is the whitened patches' product
    with the weight in float64, e what D may be off by in units of u (:func:`error_of_root`); the second term is the
    rounding of folding and convolution.
    """
    true = statistics(problem)
    y = _trained(implementation, problem)(_inputs(implementation, problem)[0])
    return _compare_outputs(implementation, problem, y, true)


def averages(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """Running mean and D after three batches: the weighted means of what the oracle finds in each, with correction.

    D within u (e + 4) of its norm, the mean within u (8 + log2(M) / 2) of the mean size of what it adds up, M rows, in
    each column; the weights of three batches add 4 u.
    """
    module = _trained(implementation, problem)
    for x in _inputs(implementation, problem, count=3):
        module(x)
    found = _state(module)
    true = [statistics(p) for p in _batches(problem, 3)]
    weights = np.array([(1 - MOMENTUM) ** 2, 1 - MOMENTUM, 1])
    weights /= weights.sum()
    u = implementation.unit_roundoff(problem.dtype)
    measured, allowed = [], []
    for b in range(len(true[0].means)):
        mean, D = (sum(w * part[b] for w, part in zip(weights, parts, strict=True))
                   for parts in ([t.means for t in true], [t.roots for t in true]))  # fmt: skip
        level = np.max([t.levels[b] for t in true], axis=0)
        measured += [*abs(found.means[b] - mean), np.linalg.norm(found.roots[b] - D) / np.linalg.norm(D)]
        allowed += [*(u * (8 + np.log2(true[0].rows) / 2) * level), u * (max(t.error for t in true) + 4)]
    return Measurement(*metrics.worst(np.array(measured), np.array(allowed)))


def evaluation(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """|y - y*| of evaluation, twice in a row and after the weight has changed, y* by the layer's own averages.

    Within u (8 + 2 sqrt(F)) (|p| + |mean|) |D| |w|: nothing but folding and convolution.
    """
    module, inputs = _trained(implementation, problem), _inputs(implementation, problem, count=2)
    module(inputs[0])
    module.eval()
    state = _state(module)
    judged = []
    with torch.no_grad():
        first, again = module(inputs[1]), module(inputs[1])
        for parameter in module.parameters():
            if parameter.ndim > 1:
                parameter.mul_(0.5)
        halved = module(inputs[1])
    x = inputs[1].double().cpu().numpy()
    for y, scale in ((first, 1.0), (again, 1.0), (halved, 0.5)):
        layer = rungs.oracle(problem)
        layer = replace(layer, weight=scale * layer.weight)
        distance = abs(y.detach().double().cpu().numpy() - output_of(layer, x, state.means, state.roots))
        budget = _rounding(implementation, problem, sizes_of(layer, x, state.means, state.roots))
        judged.append(metrics.worst(distance.ravel(), budget.ravel()))
    return Measurement(*max(judged, key=lambda pair: pair[0] / pair[1]))


def algorithm_1(implementation: Implementation, problem: LayerProblem) -> Measurement:
    """Trained on one batch that is the whole data set, evaluation of its images one by one is Algorithm 1 on all.

    Within the budget of `output`.
    """
    module, (x,) = _trained(implementation, problem), _inputs(implementation, problem)
    module(x)
    module.eval()
    y = torch.cat([module(x[i : i + 1]) for i in range(len(x))])
    true = statistics(problem)
    return _compare_outputs(implementation, problem, y, true)


@lru_cache(maxsize=256)
def statistics(problem: LayerProblem) -> Statistics:
    """The oracle's, in float64, from the rounded input."""
    layer, x = rungs.oracle(problem), problem.x().double().numpy()
    means, covariances, levels, rows = statistics_of(layer, x)
    error = max(error_of_root(problem.target, cov, rows) for cov in covariances)
    return Statistics(means, [layer.root(cov) for cov in covariances], rows, levels, error)


def error_of_root(target: Target, cov: Array, rows: int) -> float:
    """What D may be off by, relative, in units of u: the root's own budget + c (4 + log2(M) / 2).

    The root is that of a covariance which adds up M rows and is off by so much itself, and the condition c of the
    target, at most kappa / 2, is what D makes of it.
    """
    eigenvalues = np.linalg.eigvalsh(cov)
    kappa, n = float(eigenvalues[-1] / eigenvalues[0]), len(cov)
    condition = max(1.0, min(amplification(target), kappa / 2))
    if isinstance(target, Exact):
        own = budgets.forward(1, n, kappa)
    else:
        own = budgets.steps(1, n, condition, running_error(target, eigenvalues))
    return own + condition * (4 + float(np.log2(rows)) / 2)


def _compare_outputs(implementation: Implementation, problem: LayerProblem, y: Tensor, true: Statistics) -> Measurement:
    layer, x, u = rungs.oracle(problem), problem.x().double().numpy(), implementation.unit_roundoff(problem.dtype)
    wanted, sizes = output_of(layer, x, true.means, true.roots), sizes_of(layer, x, true.means, true.roots)
    budget = u * true.error * sizes.norms + _rounding(implementation, problem, sizes)
    distance = np.asarray(abs(y.detach().double().cpu().numpy() - wanted))
    return Measurement(*metrics.worst(distance.ravel(), budget.ravel()))


def _rounding(implementation: Implementation, problem: LayerProblem, sizes: Any) -> Array:
    u = implementation.unit_roundoff(problem.dtype)
    return np.asarray(u * (8 + 2 * np.sqrt(problem.order)) * sizes.terms)


def _trained(implementation: Implementation, problem: LayerProblem) -> nn.Module:
    """The module, ready for training."""
    weight, bias = problem.weight().to(implementation.place), problem.bias().to(implementation.place)
    return rungs.module_of(implementation, problem, weight, bias, momentum=MOMENTUM).train()


def _batches(problem: LayerProblem, count: int) -> list[LayerProblem]:
    """The problem, and others whose inputs differ."""
    return [replace(problem, seed=problem.seed + 100 * k) for k in range(count)]


def _inputs(implementation: Implementation, problem: LayerProblem, count: int = 1) -> list[Tensor]:
    return [p.x().to(implementation.place) for p in _batches(problem, count)]


@dataclass(frozen=True, eq=False)
class _State:
    means: list[Array]
    roots: list[Array]


def _state(module: nn.Module) -> _State:
    """The averages of the one layer in the module that whitens."""
    (layer,) = (part for part in module.modules() if isinstance(part, Whitening))
    mean, D = (value.double().cpu().numpy() for value in layer.averages())
    return _State(list(np.atleast_2d(mean)), list(D.reshape(-1, *D.shape[-2:])))


def posable(problem: LayerProblem) -> bool:
    """Whether layers can be told its sampling, in multiples of the stride, and its type is not rounded twice."""
    return problem.dtype in (torch.float32, torch.float64) and problem.told_to_layers


def strided(kernel: int, stride: int, apart: int) -> LayerProblem:
    """A convolution of this stride whose statistics count patches so many strides apart; enough of them."""
    usual = of_block(kernel, 4)
    images = replace(usual.images, N=6, stride=stride, H=14, W=13)
    return replace(usual, images=images, sampling_stride=stride * apart)


SAMPLED = {
    "layers": [strided(k, stride, apart) for k in (1, 3) for stride, apart in ((1, 3), (2, 1), (2, 3))],
    "pointwise": [strided(1, 1, apart) for apart in (2, 3)],
}
"""Beside the problems of gradients, in which strides and samplings go their own ways."""


def _tiers(name: str) -> dict[str, Sequence[LayerProblem]]:
    return {tier: [*filter(posable, getattr(problems, name)), *SAMPLED[name]] for tier, problems in
            (("quick", QUICK), ("full", FULL))}  # fmt: skip


def _checks(operation: str, problems: str) -> tuple[Check, ...]:
    judges = {
        "layer-output": output,
        "layer-averages": averages,
        "layer-evaluation": evaluation,
        "layer-algorithm-1": algorithm_1,
        "layer-gradient": rungs.closed_form,
        "layer-parameters": rungs.parameters,
    }
    return tuple(Check(name, operation, judge, _tiers(problems)) for name, judge in judges.items())


CHECKS: tuple[Check, ...] = (*_checks("layer", "layers"), *_checks("layer-of-one-pixel", "pointwise"))
