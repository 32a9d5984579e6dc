"""How much of a layer's gradient the first-order correction term is, by the oracle, over one factor at a time."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch

from ndbench.covariance_problems import CovarianceProblem
from ndbench.verify.gradients.layer import oracle
from ndbench.verify.gradients.layer_problems import LayerProblem
from ndbench.verify.oracles.derivatives_layer import LayerGradient, layer_gradient, layer_output

PIXELS = LayerProblem(
    CovarianceProblem(8, 3, 16, 16, 3, padding=1, block=3, eps=1e-5, data="photograph:astronaut", dtype=torch.float64),
    outputs=16,
)
"""Crops of a photograph in colour: k = 3, one block of the three channels, T = 5, batch 8."""
ACTIVATIONS = replace(PIXELS, images=replace(PIXELS.images, C=16, block=16, data="relu:coffee"))
"""Crops of the activations of one random convolution: 16 channels in one block."""

KERNELS, BLOCKS, STEPS, BATCHES = (1, 3, 5), (4, 16, 64), (1, 5, 15, None), (1, 2, 8, 32)


@dataclass(frozen=True)
class Spread:
    """What several seeds gave."""

    found: tuple[float, ...]

    def __str__(self) -> str:
        return f"{np.median(self.found):.2f} ({min(self.found):.2f} to {max(self.found):.2f})"


@dataclass(frozen=True)
class Share:
    """One row: what was varied, and for a loss what the term weighs and how the gradient turns without it.

    Attributes:
        data: what the images are.
        factor: what was varied.
        value: to what.
        loss: "random G" for <G, y>, "G = y" for ||y||^2 / 2, whose gradient points along the output.
        share: ||correction|| / ||full gradient||.
        cosine: of the angle between the detached gradient and the full one.
    """

    data: str
    factor: str
    value: str
    loss: str
    share: Spread
    cosine: Spread


def shares(seeds: int) -> Iterator[Share]:
    """Yield every row."""
    for usual in (PIXELS, ACTIVATIONS):
        for factor, value, problem in varied(usual):
            for loss, aligned in (("random G", False), ("G = y", True)):
                found = [parts(replace(problem, aligned=aligned, seed=seed)) for seed in range(seeds)]
                share, cosine = (Spread(tuple(getattr(g, name) for g in found)) for name in ("share", "cosine"))
                yield Share(usual.images.data, factor, value, loss, share, cosine)


def parts(problem: LayerProblem) -> LayerGradient:
    """The gradient of one problem in its parts, without the condition that rungs need."""
    layer, x = oracle(problem), problem.x().double().numpy()
    G = problem.upstream(torch.from_numpy(layer_output(layer, x)))
    return layer_gradient(layer, x, G.double().numpy())


def varied(usual: LayerProblem) -> Iterator[tuple[str, str, LayerProblem]]:
    """One factor after the other: its name, its value, and the problem; blocks where there are channels for them."""
    images = usual.images
    for k in KERNELS:
        yield "kernel", str(k), replace(usual, images=replace(images, kernel_size=k, padding=k // 2))
    for block in BLOCKS if usual is ACTIVATIONS else ():
        yield "block of 64 channels", str(block), replace(usual, images=replace(images, block=block, C=64))
    for steps in STEPS:
        yield "steps T", str(steps or "exact"), replace(usual, steps=steps)
    for batch in BATCHES:
        yield "batch", str(batch), replace(usual, images=replace(images, N=batch))
