"""Checks of the folding of mean and deconvolution matrix into a weight and a bias."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ndbench.catalog import Implementation
from ndbench.covariance_problems import DeconvolutionProblem
from ndbench.verify import covariance_budgets as budgets
from ndbench.verify import metrics
from ndbench.verify.answers import BrokenPromise
from ndbench.verify.check import Measurement
from ndbench.verify.oracles.deconvolution import columns_of_output, extended, whitened_outputs

Array = NDArray[np.floating[Any]]
Arguments = tuple[Tensor, Tensor | None, Tensor, Tensor]


def folding(implementation: Implementation, problem: DeconvolutionProblem) -> Measurement:
    """|b' + p . w' - (b + sum over g of ((p_g - mean_g) D_g) . w_g)| within its budget, for every patch p and output.

    Both sides are evaluated in longdouble from the rounded tensors.
    """
    weight, bias = map(extended, _respond(implementation, problem, question(problem, implementation.place)))
    patches, F = extended(problem.patches()), problem.columns // problem.blocks
    distance, allowed = [], []
    for o, true in enumerate(whitened_outputs(problem)):
        p = patches[:, columns_of_output(problem, o)]
        distance.append(abs(bias[o] + p @ weight[o].ravel() - true.value))
        folded = abs(p) @ abs(true.weight) + true.bias
        allowed.append(budgets.folding(problem.dtype, F, _double(true.size), _double(folded)))
    return Measurement(*metrics.worst(_double(np.concatenate(distance)), np.concatenate(allowed)))


def inputs_unchanged(implementation: Implementation, problem: DeconvolutionProblem) -> Measurement:
    """Weight, bias, mean and D are what they were: the number of entries that differ is 0."""
    asked = question(problem, implementation.place)
    implementation.function(*asked, grouping=problem.grouping)
    pairs = zip(asked, question(problem), strict=True)
    differ = [(after.cpu() != before).sum() for after, before in pairs if after is not None and before is not None]
    return Measurement(float(sum(differ)), 0.0)


def repeatability(implementation: Implementation, problem: DeconvolutionProblem) -> Measurement:
    """The same arguments give the same bits again, after others: the number of entries that differ is 0."""
    asked = question(problem, implementation.place)
    first = _respond(implementation, problem, asked)
    kept = [tensor.clone() for tensor in first]
    weight, bias, mean, D = asked
    _respond(implementation, problem, (-weight / 2, bias, mean, 2 * D))
    later = [tensor.clone() for tensor in first]
    again = _respond(implementation, problem, asked)
    differ = [(one != k).sum() for other in (later, again) for one, k in zip(other, kept, strict=True)]
    return Measurement(float(sum(differ)), 0.0)


def question(problem: DeconvolutionProblem, device: str = "cpu") -> Arguments:
    """Weight, bias, mean and D, made anew."""
    bias = problem.bias()
    tensors = (problem.weight(), problem.mean(), problem.matrix())
    weight, mean, D = (tensor.to(device) for tensor in tensors)
    return weight, None if bias is None else bias.to(device), mean, D


def _respond(implementation: Implementation, problem: DeconvolutionProblem, asked: Arguments) -> tuple[Tensor, Tensor]:
    """The implementation's weight and bias.

    Raises:
        BrokenPromise: if they are not tensors of the shapes and the type that the operation promises.
    """
    weight, bias = implementation.function(*asked, grouping=problem.grouping)
    shapes = (asked[0].shape, asked[0].shape[:1])
    for name, tensor, shape in zip(("weight", "bias"), (weight, bias), shapes, strict=True):
        if not isinstance(tensor, Tensor) or tensor.shape != shape or tensor.dtype != problem.dtype:
            raise BrokenPromise(f"the {name} must be a tensor {tuple(shape)} {problem.dtype}; got {tensor!r:.60}")
    return weight, bias


def _double(values: Array) -> NDArray[np.float64]:
    return values.astype(np.float64)
