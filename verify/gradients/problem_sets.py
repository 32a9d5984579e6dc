"""The problems of each tier, for the rungs of gradients."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import bfloat16, float16, float32, float64

from ndbench.covariance_problems import CovarianceProblem, Pair
from ndbench.problems import ActivationProblem, MatrixProblem, PhotographProblem, Problem
from ndbench.verify.gradients.layer_problems import LayerProblem
from ndbench.verify.gradients.problems import CovarianceGradientProblem, RootGradientProblem

Roots = list[RootGradientProblem]
Covariances = list[CovarianceGradientProblem]
Layers = list[LayerProblem]


def _planted(
    matrix: str, n: int, condition: float, dtype: torch.dtype, *, symmetric: bool, seed: int
) -> RootGradientProblem:
    return RootGradientProblem(MatrixProblem(matrix, n, condition, dtype=dtype), symmetric, seed)


def _conditions(seed: int) -> Roots:
    """Condition 1 to 1e6 in float64, upstream gradients symmetric and not; orders that mpmath can do."""
    shapes = [("geometric", 6, 10.0, True), ("arithmetic", 8, 1e2, False), ("log_uniform", 8, 1e4, True)]
    shapes += [("one_small", 8, 1e4, False), ("geometric", 8, 1e6, True), ("two_clusters", 6, 1e6, False)]
    return [_planted(matrix, n, k, float64, symmetric=symmetric, seed=seed) for matrix, n, k, symmetric in shapes]


def _repeated(seed: int) -> Roots:
    """A = I, and eigenvalues that are exactly equal."""
    matrices = [MatrixProblem("identity", n) for n in (1, 2, 3, 4, 8, 12)]
    matrices += [MatrixProblem("repeated", n, 4.0**k) for n, k in ((4, 1), (8, 1), (8, 4), (8, 9))]
    return [
        RootGradientProblem(replace(m, dtype=dtype), symmetric=symmetric, seed=seed)
        for m in matrices
        for dtype, symmetric in ((float64, False), (float32, True))
    ]


def _coarse(seed: int) -> Roots:
    """float32 up to the orders of network deconvolution, half types at the conditions that they can carry."""
    single = [("geometric", 12, 1e2), ("one_large", 27, 1e3), ("log_uniform", 33, 1e4), ("geometric", 64, 1e5)]
    half = [("identity", 2, 1.0), ("identity", 12, 1.0), ("arithmetic", 32, 2.0), ("geometric", 8, 10.0)]
    return [
        *(_planted(*shape, float32, symmetric=i % 2 == 0, seed=seed) for i, shape in enumerate(single)),
        *(_planted(*shape, dtype, symmetric=True, seed=seed) for dtype in (float16, bfloat16) for shape in half),
    ]


def _large(seed: int) -> Roots:
    """An order that mpmath takes a second for, and one beyond what a kernel keeps in registers."""
    shapes = (("geometric", 20, 1e2, float64), ("geometric", 128, 1e3, float32))
    matrices = [MatrixProblem(matrix, n, k, batch=1, dtype=dtype) for matrix, n, k, dtype in shapes]
    return [RootGradientProblem(m, symmetric=False, seed=seed) for m in matrices]


def _scaled(seed: int) -> Roots:
    """Matrices that are very small or very large as a whole."""
    usual = MatrixProblem("geometric", 6, 10.0)
    return [
        RootGradientProblem(replace(usual, exponent=exponent, dtype=dtype), symmetric=False, seed=seed)
        for exponent, dtype in ((-40, float64), (40, float64), (-24, float32), (24, float32), (4, float16))
    ]


def _laid_out(seed: int) -> Roots:
    """A few types and orders, so that kernels are among those that the rungs about memory judge."""
    shapes = ((6, float64), (12, float32), (12, float16))
    return [_planted("geometric", n, 4.0, dtype, symmetric=False, seed=seed) for n, dtype in shapes]


def _real(seed: int) -> Roots:
    """Covariances of patches of photographs and of activations."""
    matrices: list[Problem] = [
        PhotographProblem("astronaut", 3),
        PhotographProblem("camera", 5, gray=True),
        ActivationProblem("coffee", 1),
    ]
    return [RootGradientProblem(m, seed=seed) for m in matrices]


def _small(seed: int) -> Roots:
    """What gradgradcheck can do in a moment: entry by entry, and by projections."""
    shapes = ((3, 1), (12, 2))
    matrices = [MatrixProblem("geometric", n, 5.0, batch=batch, dtype=float64) for n, batch in shapes]
    return [RootGradientProblem(problem, symmetric=False, seed=seed) for problem in matrices]


def _patches(seed: int) -> Covariances:
    """Every stride, padding, dilation, grouping and kernel, in float64 and float32; a mean far from zero."""
    usual = CovarianceProblem(2, 4, 9, 8, 3, block=2)
    kernels: tuple[Pair, ...] = (1, 2, (2, 3), 5)
    images = [
        usual,
        *(replace(usual, kernel_size=k, padding=1) for k in kernels),
        *(replace(usual, stride=s, padding=1) for s in (2, (1, 3))),
        *(replace(usual, padding=p) for p in (2, (0, 2))),
        replace(usual, dilation=(1, 2), padding=2),
        replace(usual, kernel_size=(3, 2), stride=(2, 3), padding=(2, 1), dilation=(2, 3)),
        replace(usual, H=2, W=3, kernel_size=(3, 4), padding=(2, 3)),
        *(
            replace(usual, pooled=p, grouping=g, padding=1)
            for p, g in ((False, "channel"), (True, "interleaved"), (False, "interleaved"))
        ),
        replace(usual, N=5, C=12, block=4, stride=2, dilation=2, padding=2),
        replace(usual, data="offset", pooled=False),
        replace(usual, data="relu:coffee", block=None, padding=1),
        replace(usual, data="photograph:astronaut", C=3, block=None),
    ]
    return [
        CovarianceGradientProblem(replace(p, dtype=dtype), symmetric=i % 2 == 0, seed=seed)
        for i, p in enumerate(images)
        for dtype in (float64, float32)
    ] + [CovarianceGradientProblem(replace(usual, dtype=bfloat16), seed=seed)]


def _laid_out_patches(seed: int) -> Covariances:
    """Images that are not square, for gradients in several layouts of memory."""
    usual = CovarianceProblem(2, 4, 9, 8, 2, block=2)
    images = (
        replace(usual, kernel_size=(3, 2), stride=(2, 3), padding=(2, 1), dilation=(2, 3)),
        replace(usual, pooled=False, grouping="interleaved", padding=1, stride=3),
    )
    return [
        CovarianceGradientProblem(replace(p, dtype=dtype), symmetric=False, seed=seed)
        for p in images
        for dtype in (float64, float32)
    ]


def _few_pixels(seed: int) -> Covariances:
    """What gradgradcheck can do in a moment."""
    images = (
        CovarianceProblem(1, 1, 3, 4, 2, dtype=float64),
        CovarianceProblem(3, 4, 5, 4, 2, padding=1, stride=2, block=2, pooled=False, dtype=float64),
    )
    return [CovarianceGradientProblem(problem, symmetric=False, seed=seed) for problem in images]


def _layers(seed: int) -> Layers:
    """Kernels of 1, 3, 5, blocks of 4, 16, 64, T = 1, 5, 15; strides, paddings, dilations, groups; real images."""
    usual = layer(3, 4)
    sizes = [(1, 4), (1, 16), (1, 64), (3, 4), (3, 16), (5, 4)]
    ways: list[dict[str, Any]] = [
        *({"stride": s} for s in (2, (1, 2))),
        *({"padding": p} for p in (0, 2)),
        {"dilation": 2, "padding": 2},
        {"pooled": False},
        {"grouping": "interleaved"},
        {"pooled": False, "grouping": "interleaved"},
        {"data": "relu:coffee"},
        {"data": "photograph:astronaut"},
    ]
    problems = [
        *(layer(k, block, steps) for k, block in sizes for steps in (1, 5, 15)),
        *(replace(usual, images=replace(usual.images, **way)) for way in ways),
        replace(usual, groups=2),
        replace(usual, groups=2, images=replace(usual.images, pooled=False)),
        replace(usual, sampling_stride=2),
        replace(usual, aligned=True),
        replace(usual, steps=None),
        replace(usual, method="denman_beavers"),
        replace(usual, method="minimax_quintic"),
        replace(usual, steps=15, images=replace(usual.images, data="relu:coffee", eps=1e-5)),
    ]
    return [replace(p, seed=seed) for p in problems]


def _coarse_layers(seed: int) -> Layers:
    """float32 with the default eps, and 16-bit types, whose statistics are float32."""
    usual = layer(3, 4)
    single = [("normal", 1e-2), ("relu:coffee", 1e-2), ("photograph:astronaut", 1e-2), ("normal", 1e-5)]
    half = [(dtype, data) for dtype in (bfloat16, float16) for data in ("normal", "relu:coffee")]
    images = [replace(usual.images, dtype=float32, data=data, eps=eps) for data, eps in single]
    images += [replace(usual.images, dtype=dtype, data=data) for dtype, data in half]
    return [replace(usual, images=i, seed=seed) for i in images]


def _crossed_layers(seed: int) -> Layers:
    """Several ways at once, as they meet in networks: what is right one by one may be wrong together."""
    usual, wide = layer(3, 4), layer(3, 8)
    moved: dict[str, Any] = {"stride": 2, "dilation": 2, "padding": 2}
    problems = [
        replace(usual, images=replace(usual.images, N=5, **moved), sampling_stride=2),
        replace(usual, images=replace(usual.images, N=5, dtype=float32, eps=1e-5, **moved)),
        replace(wide, images=replace(wide.images, pooled=False)),
        replace(wide, images=replace(wide.images, pooled=False, grouping="interleaved", stride=(1, 2)), steps=15),
        *(replace(layer(k, 4), groups=2, images=replace(layer(k, 4).images, pooled=False)) for k in (1, 5)),
        replace(layer(1, 4), groups=2, images=replace(layer(1, 4).images, stride=2, dtype=float32), steps=15),
        replace(layer(2, 2), groups=4, images=replace(layer(2, 4).images, block=1, dilation=(1, 2))),
        *(replace(usual, method=m, steps=t) for m, t in (("denman_beavers", 9), ("denman_beavers", 1))),
        *(replace(usual, method=m, steps=t) for m, t in (("minimax_quintic", 3), ("minimax_cubic", 4))),
        replace(layer(1, 8), steps=None, images=replace(layer(1, 8).images, dtype=float32, pooled=False)),
        replace(layer(1, 16), aligned=True, images=replace(layer(1, 16).images, grouping="interleaved", block=8)),
    ]
    return [replace(p, seed=seed) for p in problems]


def _larger_layers(seed: int) -> Layers:
    """Kernels of 3 and 5 at the larger blocks: orders 576 and 400."""
    return [replace(layer(*shape), seed=seed) for shape in ((3, 64), (5, 16))]


LARGEST_ORDERS: dict[int | None, int] = {5: 144}
"""Up to these orders of D at a T, otherwise 64, differences are taken in the quick tier: thirty evaluations each."""


def layer(k: int, block: int, steps: int = 5) -> LayerProblem:
    """A convolution of a few images with two blocks of channels, or one of 64."""
    C = max(block, min(2 * block, 16))
    images = CovarianceProblem(3, C, 10, 9, k, padding=k // 2, block=block, eps=1e-2, dtype=float64)
    return LayerProblem(images, steps=steps)


def _large_layers(seed: int) -> Layers:
    """Orders up to 1600."""
    shapes = ((3, 64, 1), (3, 64, 5), (3, 64, 15), (5, 16, 1), (5, 16, 5), (5, 16, 15), (5, 64, 1))
    return [replace(layer(*shape), seed=seed) for shape in shapes]


def _small_layers(seed: int) -> Layers:
    tiny = LayerProblem(CovarianceProblem(1, 1, 3, 3, 2, eps=0.1, dtype=float64), outputs=1, steps=2, seed=seed)
    images = CovarianceProblem(4, 4, 5, 4, 3, padding=1, block=2, pooled=False, eps=0.1, dtype=float64)
    return [tiny, LayerProblem(images, seed=seed)]


def _small_pointwise(seed: int) -> Layers:
    return [LayerProblem(CovarianceProblem(4, 2, 2, 2, 1, eps=0.1, dtype=float64), outputs=1, steps=2, seed=seed)]


@dataclass(frozen=True)
class Tier:
    """The problems of one tier, by what they are for; differences are taken in float64 only."""

    closed_form: Sequence[RootGradientProblem]
    conditions: Sequence[RootGradientProblem]
    laid_out: Sequence[RootGradientProblem]
    repeated: Sequence[RootGradientProblem]
    small: Sequence[RootGradientProblem]
    patches: Sequence[CovarianceGradientProblem]
    double_patches: Sequence[CovarianceGradientProblem]
    few_patches: Sequence[CovarianceGradientProblem]
    laid_out_patches: Sequence[CovarianceGradientProblem]
    few_pixels: Sequence[CovarianceGradientProblem]
    layers: Sequence[LayerProblem]
    pointwise: Sequence[LayerProblem]
    double_layers: Sequence[LayerProblem]
    double_pointwise: Sequence[LayerProblem]
    few_layers: Sequence[LayerProblem]
    few_pointwise: Sequence[LayerProblem]
    small_layers: Sequence[LayerProblem]
    small_pointwise: Sequence[LayerProblem]


def quick(seed: int = 0) -> Tier:
    """The quick tier; another seed gives other random problems of the same kinds."""
    layers = [*_layers(seed), *_coarse_layers(seed), *_crossed_layers(seed), *_larger_layers(seed)]
    double = [p for p in layers if p.dtype == float64 and p.order <= LARGEST_ORDERS.get(p.steps, 64)]
    return Tier(
        closed_form=[*_conditions(seed), *_coarse(seed), *_large(seed), *_scaled(seed), *_real(seed)],
        laid_out=_laid_out(seed),
        conditions=_conditions(seed),
        repeated=_repeated(seed),
        small=_small(seed),
        patches=_patches(seed),
        double_patches=[p for p in _patches(seed) if p.dtype == float64],
        few_patches=_patches(seed)[::3],
        laid_out_patches=_laid_out_patches(seed),
        few_pixels=_few_pixels(seed),
        layers=layers,
        pointwise=[p for p in layers if p.pointwise],
        double_layers=double,
        double_pointwise=[p for p in double if p.pointwise],
        few_layers=[layers[i] for i in range(0, len(layers), 4)],
        few_pointwise=[p for p in layers if p.pointwise][::3],
        small_layers=_small_layers(seed),
        small_pointwise=_small_pointwise(seed),
    )


def full(seed: int = 0) -> Tier:
    """The quick tier with two more seeds, and large layers."""
    tiers = [quick(s) for s in (seed, seed + 1, seed + 2)]
    merged = {f.name: [p for tier in tiers for p in getattr(tier, f.name)] for f in fields(Tier)}
    merged["double_layers"] += [p for p in _layers(seed) if p.dtype == float64]
    for name in ("layers", "double_layers"):
        merged[name] += _large_layers(seed)
    return Tier(**{name: tuple(dict.fromkeys(found)) for name, found in merged.items()})


QUICK, FULL = quick(), full()
