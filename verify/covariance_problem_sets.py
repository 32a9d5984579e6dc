"""The problems of each tier, for the checks of covariance and of deconvolution."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product

from torch import bfloat16, float16, float64

from ndbench.covariance_problems import CovarianceProblem, DeconvolutionProblem, Pair, pair

Problems = list[CovarianceProblem]


def _kernels(seed: int) -> Problems:
    """Kernels of every kind: odd, even, rectangular, a row, a column."""
    kernels: tuple[Pair, ...] = (1, 2, 3, 5, (2, 3), (3, 5), (1, 4), (5, 1))
    single = [CovarianceProblem(C=3, kernel_size=k, padding=1, seed=seed) for k in kernels]
    double = [replace(p, N=2, dtype=float64, seed=seed) for p in single]
    return [*single, *double, CovarianceProblem(C=2, H=13, W=12, kernel_size=7, padding=3, seed=seed)]


def _geometry(seed: int) -> Problems:
    """Strides, paddings up to the kernel and dilations, equal on both axes or not; images below the kernel."""
    usual = CovarianceProblem(C=2, H=12, W=9, seed=seed)
    return [
        *(replace(usual, stride=s, padding=1) for s in (2, 3, (1, 2), (3, 1))),
        *(replace(usual, padding=p) for p in (2, 3, (0, 2), (3, 1))),
        *(replace(usual, dilation=d, padding=2) for d in (2, (1, 2))),
        replace(usual, kernel_size=(3, 2), stride=(2, 3), padding=(2, 1), dilation=(2, 3)),
        replace(usual, kernel_size=2, stride=4, dilation=2),
        replace(usual, H=2, W=3, kernel_size=(3, 4), padding=(2, 3)),
    ]


def _smallest(seed: int) -> Problems:
    """One image, one patch, one pixel, one channel."""
    return [
        CovarianceProblem(N=1, C=2, H=3, W=3, seed=seed),
        CovarianceProblem(N=1, C=1, H=1, W=1, kernel_size=1, seed=seed),
        CovarianceProblem(N=1, C=1, H=1, W=1, padding=1, seed=seed),
        CovarianceProblem(N=2, C=2, H=3, W=3, dtype=float64, seed=seed),
        CovarianceProblem(N=5, C=1, H=4, W=3, data="integers", seed=seed),
        CovarianceProblem(N=1, C=2, H=17, W=5, padding=1, seed=seed),
    ]


def _blocks(seed: int, data: str = "normal") -> Problems:
    """Blocks, pooled and separate, in both groupings, with kernels whose pixels the blocks divide or do not."""
    shapes: list[tuple[int, int, Pair]] = [(8, 4, 3), (6, 2, 3), (6, 3, 2), (8, 2, 2), (6, 1, 3), (4, 2, (2, 3))]
    return [
        CovarianceProblem(
            N=2, C=C, H=9, W=8, kernel_size=k, padding=1, block=B, pooled=p, grouping=g, data=data, seed=seed
        )
        for C, B, k in shapes
        for p in (True, False)
        for g in ("channel", "interleaved")
    ]


def _real(seed: int, names: Sequence[str]) -> Problems:
    """Crops of photographs, whose pixels are integers, and activations whose mean is far from zero."""
    photographs = [
        CovarianceProblem(2, 3, 24, 21, k, padding=p, data=f"photograph:{name}", seed=seed)
        for name in names
        for k, p in ((3, 1), (5, 0))
    ]
    activations = [
        CovarianceProblem(4, 8, 24, 24, 3, padding=p, block=4, pooled=pooled, data=f"relu:{name}", seed=seed)
        for name in names[:2]
        for p, pooled in ((1, True), (0, False))
    ]
    gray = CovarianceProblem(2, 1, 32, 32, 7, padding=3, stride=2, data="photograph:camera", seed=seed)
    double = [replace(p, dtype=float64) for p in (photographs[0], activations[1], gray)]
    return [*photographs, *activations, gray, *double]


def _accumulation(seed: int) -> Problems:
    """Thousands of rows, where sums of products lose digits."""
    return [
        CovarianceProblem(8, 4, 30, 30, 3, padding=1, seed=seed),
        CovarianceProblem(8, 4, 30, 30, 3, data="relu:coffee", seed=seed),
        CovarianceProblem(8, 4, 30, 30, 3, data="relu:coffee", dtype=float64, seed=seed),
        CovarianceProblem(8, 3, 32, 32, 3, data="photograph:astronaut", seed=seed),
    ]


def _half(seed: int) -> Problems:
    """Half types: computed in float32, rounded once."""
    shapes = (("normal", 1, 3), ("integers", 1, 3), ("relu:rocket", 0, 3), ("normal", 0, 1))
    return [
        CovarianceProblem(2, 4, 10, 9, k, padding=p, block=2, data=data, eps=1e-2, dtype=dtype, seed=seed)
        for dtype in (float16, bfloat16)
        for data, p, k in shapes
    ]


def _large_mean(seed: int) -> Problems:
    """Means a thousand standard deviations from zero, another in every channel."""
    usual = CovarianceProblem(4, 4, 12, 11, 3, data="offset", block=2, pooled=False, seed=seed)
    return [
        usual,
        replace(usual, block=None),
        replace(usual, block=1, pooled=True),
        replace(usual, pooled=True),
        replace(usual, pooled=True, grouping="interleaved"),
        replace(usual, kernel_size=2, stride=2),
        replace(usual, kernel_size=5, H=9),
        replace(usual, N=8, H=30, W=30),
        replace(usual, padding=1),
        replace(usual, dtype=float64),
        replace(usual, pooled=True, grouping="interleaved", dtype=float64),
        replace(usual, padding=1, dtype=float64),
    ]


def _coded(seed: int) -> Problems:
    """Images as small as the dilated kernel, every pixel another: each column is one pixel, and can be told."""
    shapes: list[tuple[int, int, Pair]] = [
        (8, 4, 3),
        (6, 3, 2),
        (8, 2, 2),
        (6, 1, 3),
        (12, 4, (3, 2)),
        (4, 2, 1),
        (12, 2, 3),
    ]
    return [
        CovarianceProblem(
            *_just_fitting(C, k, dilation), k, dilation=dilation, block=B, pooled=p, grouping=g, data="coded", seed=seed
        )
        for C, B, k in shapes
        for dilation in (1, 2)
        for p in (True, False)
        for g in ("channel", "interleaved")
    ]


def _just_fitting(C: int, kernel: Pair, dilation: int) -> tuple[int, int, int, int]:
    kh, kw = pair(kernel)
    return 2, C, dilation * (kh - 1) + 1, dilation * (kw - 1) + 1


def _invariants(seed: int) -> Problems:
    """A few of every kind, for the checks that ask more than once."""
    usual = CovarianceProblem(3, 4, 9, 8, 3, block=2, data="integers", seed=seed)
    return [
        usual,
        replace(usual, pooled=False, dtype=float64),
        replace(usual, block=None, grouping="interleaved", kernel_size=2, stride=2),
        replace(usual, data="normal", padding=1),
        replace(usual, data="normal", padding=1, dtype=float64, grouping="interleaved"),
        replace(usual, data="relu:coffee", kernel_size=5),
        replace(usual, C=3, block=None, data="photograph:astronaut", kernel_size=(2, 3), stride=(1, 2), dtype=float64),
        replace(usual, data="normal", dtype=bfloat16),
        replace(usual, data="normal", dtype=float16),
    ]


def _agreement(seed: int) -> Problems:
    """Every kernel, dilation and padding up to the kernel, one and three images as small as the dilated kernel."""
    problems: list[CovarianceProblem] = []
    for k, d, N in product((1, 2, 3, 5, 7), (1, 2), (1, 3)):
        size = d * (k - 1) + 1
        shape = CovarianceProblem(N, 4, size, size + 2, k, dilation=d, block=2, seed=seed)
        problems += [replace(shape, padding=p) for p in range(k + 1)]
    larger = [(1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (5, 2), (7, 3)]
    return [*problems, *(CovarianceProblem(3, 4, 12, 11, k, padding=p, block=2, seed=seed) for k, p in larger)]


def _deconvolution(seed: int) -> list[DeconvolutionProblem]:
    """Blocks, groups, both groupings and kernels; linear layers; every type."""
    usual = DeconvolutionProblem(seed=seed)
    shapes = [
        *(replace(usual, kernel_size=k, block=4) for k in (1, 2, 3, 5, (2, 3), None)),
        *(replace(usual, block=B, pooled=p) for B in (2, 4) for p in (True, False)),
        *(replace(usual, block=B, pooled=False, grouping="interleaved") for B in (2, 4, 8)),
        *(replace(usual, groups=2, block=B, pooled=p) for B in (None, 2) for p in (True, False)),
        replace(usual, outputs=8, groups=8, kernel_size=3, pooled=False),
        replace(usual, pooled=True, grouping="interleaved"),
        replace(usual, channels=64, kernel_size=None, block=16, pooled=False, grouping="interleaved"),
        replace(usual, channels=3, outputs=1, kernel_size=7, biased=False),
        replace(usual, block=2, pooled=False, biased=False),
    ]
    some = shapes[6:12]
    return [*shapes, *(replace(p, dtype=dtype) for dtype in (float64, float16, bfloat16) for p in some)]


@dataclass(frozen=True)
class Tier:
    """The problems of one tier, by what they are for."""

    values: tuple[CovarianceProblem, ...]
    large_mean: tuple[CovarianceProblem, ...]
    coded: tuple[CovarianceProblem, ...]
    agreement: tuple[CovarianceProblem, ...]
    invariants: tuple[CovarianceProblem, ...]
    deconvolution: tuple[DeconvolutionProblem, ...]


def quick(seed: int = 0) -> Tier:
    """The quick tier; another seed gives other random images of the same kinds."""
    drawn = [*_kernels(seed), *_geometry(seed), *_smallest(seed), *_blocks(seed), *_half(seed), *_accumulation(seed)]
    return Tier(
        values=(*drawn, *_real(seed, ("astronaut", "coffee", "china"))),
        large_mean=tuple(_large_mean(seed)),
        coded=tuple(_coded(seed)),
        agreement=tuple(_agreement(seed)),
        invariants=tuple(_invariants(seed)),
        deconvolution=tuple(_deconvolution(seed)),
    )


def full(seed: int = 0) -> Tier:
    """The quick tier with two more seeds, all data in blocks, more photographs and larger shapes."""
    tiers = [quick(s) for s in (seed, seed + 1, seed + 2)]
    more = [
        *_blocks(seed, "relu:coffee"),
        *_blocks(seed, "photograph:hubble_deep_field"),
        *_real(seed, ("chelsea", "retina", "rocket", "immunohistochemistry", "flower")),
        CovarianceProblem(4, 16, 32, 32, 3, padding=1, block=16, seed=seed),
        CovarianceProblem(2, 32, 20, 20, 3, padding=1, stride=3, block=16, data="relu:coffee", seed=seed),
        CovarianceProblem(2, 4, 24, 24, 7, padding=3, data="relu:rocket", seed=seed),
        CovarianceProblem(64, 8, 32, 32, 1, seed=seed),
    ]
    merged = {name: [p for tier in tiers for p in getattr(tier, name)] for name in Tier.__dataclass_fields__}
    merged["values"] += more
    return Tier(**{name: tuple(dict.fromkeys(found)) for name, found in merged.items()})


QUICK, FULL = quick(), full()
