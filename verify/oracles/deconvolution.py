"""Truth about deconvolution: patches whitened block by block, and a weight applied to them, in longdouble."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ndbench.covariance_problems import DeconvolutionProblem
from ndbench.verify.oracles.covariance import group_columns
from ndbench.verify.oracles.unavailable import OracleUnavailable

Array = NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class WhitenedOutput:
    """One output of a convolution that is applied to whitened patches, and the sizes of what it is made of.

    Attributes:
        value: b + sum over its blocks g of ((p_g - mean_g) D_g) . w_g for every patch p, (rows,).
        size: sum over g of (|p_g| + |mean_g|) . |D_g| |w_g|, (rows,).
        weight: w' with w'_g = D_g w_g, as long as a row of the weight.
        bias: |b'| + |b|.
    """

    value: Array
    size: Array
    weight: Array
    bias: float


def whitened_outputs(problem: DeconvolutionProblem) -> list[WhitenedOutput]:
    """Every output of the convolution of whitened patches.

    Raises:
        OracleUnavailable: for float64 where longdouble is no wider.
    """
    if problem.dtype == torch.float64 and np.finfo(np.longdouble).eps >= np.finfo(np.float64).eps:
        raise OracleUnavailable("whitened patches: longdouble is float64 on this machine, which cannot grade float64")
    bias = problem.bias()
    b = np.zeros(problem.outputs, dtype=np.longdouble) if bias is None else extended(bias)
    return [_output(problem, o, b[o]) for o in range(problem.outputs)]


def columns_of_output(problem: DeconvolutionProblem, output: int) -> list[int]:
    """The columns of a patch that a grouped convolution shows to one of its outputs."""
    group = output * problem.groups // problem.outputs
    return group_columns(problem.columns, problem.groups, "channel")[group]


def extended(tensor: Tensor) -> Array:
    """A tensor in longdouble."""
    return tensor.detach().to("cpu", torch.float64).numpy().astype(np.longdouble)


def _output(problem: DeconvolutionProblem, o: int, b: Any) -> WhitenedOutput:
    patches, w = extended(problem.patches()), extended(problem.weight()[o]).ravel()
    means, matrices = extended(problem.mean()), extended(problem.matrix())
    seen = columns_of_output(problem, o)
    value, size, weight, shift = np.full(problem.rows, b), np.zeros(problem.rows), np.zeros_like(w), 0 * b
    for g, columns in enumerate(group_columns(problem.columns, problem.blocks, problem.grouping)):
        if columns[0] not in seen:
            continue
        mean, D = (means, matrices) if problem.pooled else (means[g], matrices[g])
        places, p = [seen.index(j) for j in columns], patches[:, columns]
        value = value + ((p - mean) @ D) @ w[places]
        size = size + (abs(p) + abs(mean)) @ (abs(D) @ abs(w[places]))
        weight[places] = D @ w[places]
        shift = shift + mean @ weight[places]
    return WhitenedOutput(value, size, weight, float(abs(b - shift) + abs(b)))
