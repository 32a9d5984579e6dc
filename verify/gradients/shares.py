"""How much of a layer's gradient the first-order correction term is, by the oracle, over one factor at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from ndbench.covariance_problems import CovarianceProblem
from ndbench.verify.gradients.layer import oracle
from ndbench.verify.gradients.layer_problems import LayerProblem
from ndbench.verify.oracles.derivatives_layer import layer_gradient, layer_output

DATA = ("photograph:astronaut", "relu:coffee")
USUAL = LayerProblem(
    CovarianceProblem(8, 16, 16, 16, 3, padding=1, block=16, eps=1e-5, dtype=torch.float64), outputs=16
)
"""Every factor is varied from here: k = 3, block 16, T = 5, batch 8."""

KERNELS, BLOCKS, STEPS, BATCHES = (1, 3, 5), (4, 16, 64), (1, 5, 15, None), (1, 2, 8, 32)


@dataclass(frozen=True)
class Share:
    """One row: what was varied, and ||correction|| / ||full gradient|| for a random G and for G = y.

    Attributes:
        data: what the images are.
        factor: what was varied.
        value: to what.
        random: the share for the loss <G, y> with a random G.
        aligned: that for the loss ||y||^2 / 2, whose gradient points along the output.
    """

    data: str
    factor: str
    value: str
    random: float
    aligned: float


def shares(seeds: int) -> Iterator[Share]:
    """Yield every row, the mean over so many seeds."""
    for data in DATA:
        for factor, value, problem in _varied(replace(USUAL, images=replace(USUAL.images, data=data))):
            random, aligned = (_mean_share(replace(problem, aligned=a), seeds) for a in (False, True))
            yield Share(data, factor, value, random, aligned)


def share(problem: LayerProblem) -> float:
    """||correction|| / ||full gradient|| of one problem."""
    layer, x = oracle(problem), problem.x().double().numpy()
    G = problem.upstream(torch.from_numpy(layer_output(layer, x)))
    return layer_gradient(layer, x, G.double().numpy()).share


def _varied(usual: LayerProblem) -> Iterator[tuple[str, str, LayerProblem]]:
    images = usual.images
    for k in KERNELS:
        yield "kernel", str(k), replace(usual, images=replace(images, kernel_size=k, padding=k // 2))
    for block in BLOCKS:
        channels = max(block, images.C)
        yield "block", str(block), replace(usual, images=replace(images, block=block, C=channels))
    for steps in STEPS:
        yield "steps T", str(steps or "exact"), replace(usual, steps=steps)
    for batch in BATCHES:
        yield "batch", str(batch), replace(usual, images=replace(images, N=batch))


def _mean_share(problem: LayerProblem, seeds: int) -> float:
    return float(np.mean([share(replace(problem, seed=seed)) for seed in range(seeds)]))
