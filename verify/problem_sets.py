"""The problems of each tier, for the checks of inverse square roots."""

from collections.abc import Callable, Sequence

from torch import bfloat16, float16, float32, float64

from ndbench.images import COLOR, GRAY, SCIKIT_LEARN
from ndbench.problems import ActivationProblem, MatrixProblem, PhotographProblem, Problem
from ndbench.spectra import SPECTRA


def _spectra(seed: int) -> Sequence[Problem]:
    """Every planted spectrum in both types, from mild to as hard as the type allows and, in float64, to 1e12."""
    shapes = [(16, 1e2, float32), (32, 1e4, float32), (64, 1e6, float32)]
    shapes += [(16, 1e2, float64), (32, 1e6, float64), (32, 1e12, float64)]
    return [MatrixProblem(name, n, k, dtype=dtype, seed=seed) for name in SPECTRA for n, k, dtype in shapes]


def _sizes(seed: int) -> Sequence[Problem]:
    """The orders of network deconvolution (block times k^2), and neighbours of powers of two."""
    float32_sizes = (1, 2, 3, 12, 27, 31, 33, 63, 65, 75, 127, 128, 129, 144, 147, 288)
    float64_sizes = (1, 2, 3, 12, 27, 63, 64, 75)
    return [MatrixProblem("geometric", n, 1e3, seed=seed) for n in float32_sizes] + [
        MatrixProblem("geometric", n, 1e9, dtype=float64, seed=seed) for n in float64_sizes
    ]


def _named() -> Sequence[Problem]:
    """Matrices that everybody knows; Hilbert's is beyond float32 from n = 6, beyond float64 from n = 12."""
    orders = {"identity": (1, 12, 64), "hilbert": (4,), "lehmer": (12, 32), "minij": (12, 32), "cauchy": (12,)}
    single: list[Problem] = [MatrixProblem(name, n, dtype=float32) for name, some in orders.items() for n in some]
    double: list[Problem] = [MatrixProblem(name, n, dtype=float64) for name, some in orders.items() for n in some]
    return [*single, *double, MatrixProblem("hilbert", 8, dtype=float64), MatrixProblem("hilbert", 6, dtype=float32)]


def _patterns(seed: int) -> Sequence[Problem]:
    return [
        MatrixProblem(pattern, n, 1e4, dtype=dtype, seed=seed)
        for pattern in ("diagonal", "block_diagonal")
        for n, dtype in ((27, float32), (32, float64))
    ]


def _extremes(seed: int) -> Sequence[Problem]:
    """Scaled to just inside the square root of underflow and overflow, as in LAPACK's tests."""
    return [
        MatrixProblem("geometric", 32, 1e2, dtype=dtype, exponent=sign * exponent, seed=seed)
        for dtype, exponent in ((float32, 60), (float64, 500))
        for sign in (-1, 1)
    ]


def _half(seed: int) -> Sequence[Problem]:
    """Half types, at the conditions they can carry."""
    return [
        MatrixProblem(name, n, k, dtype=dtype, seed=seed)
        for dtype in (float16, bfloat16)
        for name, n, k in (
            ("identity", 12, 1.0),
            ("geometric", 12, 10.0),
            ("arithmetic", 32, 4.0),
            ("geometric", 64, 100.0),
        )
    ]


def _photographs() -> Sequence[Problem]:
    """Patch covariances of photographs, in colour and in gray."""
    color = [PhotographProblem(name, k) for name in COLOR + SCIKIT_LEARN for k in (1, 3, 5)]
    gray = [PhotographProblem(name, k, gray=True) for name in GRAY for k in (1, 3, 5, 7)]
    luma = [PhotographProblem(name, k, gray=True) for name in ("astronaut", "flower") for k in (3, 5)]
    large = [PhotographProblem(name, 7) for name in ("china", "rocket", "hubble_deep_field")]
    double = [PhotographProblem(name, k, dtype=float64) for name in ("astronaut", "chelsea", "moon") for k in (1, 3)]
    return [*color, *gray, *luma, *large, *double]


def _activations(seed: int) -> Sequence[Problem]:
    return [ActivationProblem("coffee", k, dtype=d, seed=seed) for k, d in ((1, float32), (3, float32), (1, float64))]


def quick(seed: int = 0) -> tuple[Problem, ...]:
    """The problems of the quick tier; another seed gives other random matrices of the same kinds."""
    drawn = [*_spectra(seed), *_sizes(seed), *_patterns(seed), *_extremes(seed), *_half(seed), *_activations(seed)]
    return (*drawn, *_named(), *_photographs())


def full(seed: int = 0) -> tuple[Problem, ...]:
    """The quick tier, two more seeds of its random part, larger orders, and every photograph at k = 7."""
    large: list[Problem] = [
        MatrixProblem("geometric", 576, 1e3, batch=1, seed=seed),
        MatrixProblem("one_small", 288, 1e4, batch=1, seed=seed),
        MatrixProblem("one_small", 576, 1e4, batch=1, seed=seed),
        *(MatrixProblem(name, n, 1e12, dtype=float64, batch=1, seed=seed) for name in SPECTRA for n in (64, 128)),
        *(MatrixProblem("geometric", n, 1e12, dtype=float64, batch=1, seed=seed) for n in (75, 127, 129, 144, 147)),
        *(PhotographProblem(name, 7) for name in COLOR),
        *(PhotographProblem(name, 5, dtype=float64) for name in COLOR),
        ActivationProblem("rocket", 3, channels=16, dtype=float64, seed=seed),
    ]
    more = [p for other in (seed + 1, seed + 2) for p in (*_spectra(other), *_sizes(other), *_half(other))]
    return tuple(dict.fromkeys([*quick(seed), *large, *more]))


def invariants(seed: int = 0) -> tuple[Problem, ...]:
    """A few problems of each type: an invariant is asked of every implementation several times over."""
    drawn = [
        MatrixProblem("geometric", 12, 1e2, batch=3, seed=seed),
        MatrixProblem("log_uniform", 33, 1e4, batch=3, seed=seed),
        MatrixProblem("geometric", 16, 1e6, batch=3, dtype=float64, seed=seed),
        MatrixProblem("repeated", 16, 256.0, batch=3, dtype=float64, seed=seed),
        MatrixProblem("arithmetic", 12, 4.0, batch=3, dtype=float16, seed=seed),
        MatrixProblem("arithmetic", 12, 4.0, batch=3, dtype=bfloat16, seed=seed),
    ]
    return (*drawn, PhotographProblem("astronaut", 3), PhotographProblem("camera", 3, gray=True))


def stability(seed: int = 0) -> tuple[Problem, ...]:
    """Mild and hard conditions: instability grows with the condition."""
    shapes = ((12, 10.0, float64), (32, 1e4, float64), (16, 1e8, float64), (32, 1e3, float32))
    drawn = [MatrixProblem("geometric", n, k, dtype=dtype, seed=seed) for n, k, dtype in shapes]
    return (*drawn, PhotographProblem("chelsea", 3, dtype=float64))


def order(seed: int = 0) -> tuple[Problem, ...]:
    """Random spectra, so that every matrix of the batch starts at another error."""
    return (MatrixProblem("log_uniform", 6, 3.0, batch=12, dtype=float64, seed=seed),)


def _tiers(problems: Callable[[int], tuple[Problem, ...]]) -> dict[str, tuple[Problem, ...]]:
    """The same kinds of problems in both tiers, on one seed or on three."""
    return {"quick": problems(0), "full": tuple(dict.fromkeys(p for seed in range(3) for p in problems(seed)))}


INVARIANTS = _tiers(invariants)
STABILITY = _tiers(stability)
ORDER = _tiers(order)
VALUES: dict[str, tuple[Problem, ...]] = {"quick": quick(), "full": full()}
