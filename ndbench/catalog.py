"""Every implementation by name: tuples, no registration, no discovery."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ndbench import roots
from ndbench.cost import roots as cost_of_roots
from ndbench.covariance import Patches
from ndbench.kernels.precision import PRECISIONS, product_roundoff
from ndbench.laws import Law, PatchLaw, RootLaw
from ndbench.layers.built import channel_deconv2d, deconv2d, deconv_linear
from ndbench.operations import (
    deconvolve,
    deconvolved_conv2d,
    deconvolved_linear,
    inverse_sqrt,
    inverse_sqrt_to_tolerance,
    patch_covariance,
)
from ndbench.targets import Exact, Steps, Target

OPERATIONS = (
    "inverse-sqrt",
    "covariance",
    "deconvolution",
    "deconvolved-conv2d",
    "deconvolved-linear",
    "layer",
    "layer-of-one-pixel",
)
EXACT = Exact()
DERIVATIVES = ("reverse", "forward", "second")
ALL_TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


@dataclass(frozen=True)
class Implementation:
    """One implementation of one operation, and what it promises.

    Attributes:
        name: unique within the operation.
        operation: one of `OPERATIONS`.
        function: called like the operation's public function, without its method or algorithm.
        target: for inverse square roots, the function it computes.
        dtypes: types it accepts.
        devices: kinds of devices it runs on: "cpu", "cuda", or "interpreter" for kernels that Triton interprets.
        precision: of the products of a kernel, as in `ndbench.kernels.precision`; "ieee" for everything else.
        growth: how many units u the backward error of an inverse square root grows with each order.
        scale_free: for inverse square roots, f(4^j A) = 2^-j f(A) bit by bit.
        iterates: for iterations, the function that yields (X_k, P_k) from A; it makes convergence order and
            stability checkable.
        widened: for inverse square roots, float16 and bfloat16 are computed in float32 and rounded once.
        derivatives: what it promises of `DERIVATIVES`: gradients, forward mode, gradients of gradients. What is
            promised and not given fails; what is not promised is judged if it is given.
        unchecked: the same function without validation of its input: NaN in exactly the bad matrices, nothing raised.
        order: of convergence, where there are iterates.
        law: what it claims of how its flops and its memory grow. None for variants that differ in their gradients
            only, for iterations that run until converged, whose number of steps depends on the spectrum, and for a
            choice of algorithms by size, which follows no power.
        interpreted: for kernels, what Triton's interpreter takes for one call on a problem, in milliseconds.
        fewest: for kernels of an iteration, steps and scaled steps that run every statement of theirs; `function` takes
            them as the keywords `steps` and `scaled_steps`.
        same_kernels: for kernels of an iteration, another entry with the same ones and other coefficients.
        package: what it needs beside NumPy and PyTorch, empty if nothing; where that is missing it is "not run".
        exempt: names of checks it is not held to.
        exempt_reason: why.
    """

    name: str
    operation: str
    function: Callable[..., Any]
    target: Target = EXACT
    dtypes: tuple[torch.dtype, ...] = ALL_TYPES
    devices: tuple[str, ...] = ("cpu", "cuda")
    precision: str = "ieee"
    growth: float = 1 / 8
    scale_free: bool = False
    widened: bool = False
    derivatives: tuple[str, ...] = ()
    iterates: Callable[[Tensor], Iterator[tuple[Tensor, Tensor]]] | None = None
    unchecked: Callable[..., Any] | None = None
    order: int = 0
    law: Law | None = None
    interpreted: Callable[[Any], float] = lambda problem: 0.0
    fewest: tuple[int, int] | None = None
    same_kernels: str = ""
    package: str = ""
    exempt: tuple[str, ...] = ()
    exempt_reason: str = ""

    @property
    def place(self) -> str:
        """Where PyTorch keeps its tensors: the first device; the interpreter works on the CPU."""
        return "cpu" if self.devices[0] == "interpreter" else self.devices[0]

    def unit_roundoff(self, dtype: torch.dtype) -> float:
        """The unit roundoff u of its products in this type."""
        return product_roundoff(dtype, self.precision)

    def unchecked_only(self) -> "Implementation":
        """The implementation whose function is the unchecked one."""
        if self.unchecked is None:
            raise ValueError(f"{self.name} has no function without checks")
        return replace(self, function=self.unchecked)


def _converged(method: str, lower: float) -> Callable[..., Tensor]:
    def function(A: Tensor, *, check: bool = True) -> Tensor:
        # the unscaled Denman-Beavers iteration takes a step for every factor of 4 between A and I
        return inverse_sqrt_to_tolerance(A, method=method, lower=lower, max_steps=1200, check=check).D

    return function


def _steps(
    method: str,
    steps: int,
    scaled_steps: int = 0,
    *,
    scale_free: bool = False,
    adjoint: str = "auto",
    derivatives: tuple[str, ...] = DERIVATIVES,
    **promises: Any,
) -> Implementation:
    """An iteration stopped after T steps; the name says how many, how many are scaled, and the adjoint asked for."""
    variant = "" if adjoint == "auto" else f".{adjoint}"
    promises |= {"scale_free": scale_free, "derivatives": derivatives}
    return _stopped(method, steps, scaled_steps, variant, {"adjoint": adjoint}, **promises)


def _kernels(
    method: str, steps: int, scaled_steps: int = 0, *, scale_free: bool = False, same_kernels: str = "", **promises: Any
) -> tuple[Implementation, ...]:
    """The same by Triton kernels, one entry for each way of multiplying.

    Two steps run all of their code: the first, which multiplies nothing by Z = I, or is scaled, and one of the others.
    """
    return tuple(
        _stopped(
            method,
            steps,
            scaled_steps,
            f".triton.{precision}",
            {"backend": "triton", "precision": precision},
            dtypes=(torch.float32, torch.float16, torch.bfloat16) if precision == "ieee" else (torch.float32,),
            devices=("cuda", "interpreter"),
            precision=precision,
            scale_free=scale_free,
            derivatives=("reverse",),
            fewest=(2, min(1, scaled_steps)),
            same_kernels=same_kernels and f"{same_kernels}.triton.{precision}",
            **promises,
        )
        for precision in PRECISIONS
    )


def _interpreted_steps(steps: int, problem: Any) -> float:
    """Milliseconds of Triton's interpreter for polynomial steps of a batch, or for their gradient, roughly."""
    n, matrices = _size(problem)
    return matrices * steps / 5 * (6.5 if n <= 32 else 85 if n <= 64 else 260 if n <= 128 else 1500 * (n / 144) ** 3)


def _interpreted_sweeps(problem: Any) -> float:
    """The same for nine steps of the product form: almost a millisecond for every row of a sweep, then tiles."""
    n, matrices = _size(problem)
    return matrices * 9 * (0.8 * n if n <= 64 else 65 * (n / 64) ** 3)


def _size(problem: Any) -> tuple[int, int]:
    """Order and number of matrices; a gradient takes as long as three."""
    batch = getattr(problem, "batch", 2)
    return problem.n, batch if callable(problem.matrices) else 3 * getattr(problem.matrices, "batch", 1)


def _stopped(
    method: str, steps: int, scaled_steps: int, variant: str, options: dict[str, Any], **promises: Any
) -> Implementation:
    function = partial(inverse_sqrt, method=method, steps=steps, scaled_steps=scaled_steps, **options)
    return Implementation(
        name=f"{method}.T{steps}" + (f"s{scaled_steps}" if scaled_steps else "") + variant,
        operation="inverse-sqrt",
        function=function,
        unchecked=partial(function, check=False),
        target=Steps(method, steps, scaled_steps=scaled_steps),
        law=_law_of_steps(method, steps, variant),
        # eigh and inverses are not there in 16-bit types
        widened=method.startswith("denman_beavers") or variant == ".eigenbasis",
        **promises,
    )


def _law_of_steps(method: str, steps: int, variant: str) -> RootLaw | None:
    """In the eigenbasis one product is left; the other adjoints leave the steps as they are."""
    if variant == ".eigenbasis":
        return RootLaw(products=1)
    return None if variant in (".autograd", ".reverse") else RootLaw(cost_of_roots.FORWARD[method](steps).products)


def _exact(method: str, adjoint: str = "auto", **promises: Any) -> Implementation:
    name = method if adjoint == "auto" else f"{method}.{adjoint}"
    function = partial(inverse_sqrt, method=method, adjoint=adjoint)
    return Implementation(
        name, "inverse-sqrt", function, unchecked=partial(function, check=False), widened=True, **promises
    )


def _iteration(
    method: str,
    iterates: Callable[[Tensor], Iterator[tuple[Tensor, Tensor]]],
    order: int,
    *,
    lower: float = 1e-4,
    scale_free: bool = False,
) -> Implementation:
    """An iteration run until it has converged; the name tells a lower bound that is not the default."""
    function = _converged(method, lower)
    return Implementation(
        name=f"{method}.converged" if lower == 1e-4 else f"{method}.converged.lower{lower:g}",
        operation="inverse-sqrt",
        function=function,
        unchecked=partial(function, check=False),
        iterates=iterates,
        order=order,
        scale_free=scale_free,
        widened=method.startswith("denman_beavers"),
    )


OF_SCIPY: dict[str, Any] = {"devices": ("cpu",), "package": "scipy", "law": RootLaw()}

INVERSE_SQRT = (
    _exact("spectral", derivatives=DERIVATIVES, law=RootLaw(products=1)),
    _exact(
        "scipy_sqrtm",
        **OF_SCIPY,
        # Schur's method: SciPy's square root was seen at 1.1 n u (docs/findings.md)
        growth=1.0,
        exempt=("versus-eigh",),
        exempt_reason="inverting a computed square root was seen to lose a digit against eigh",
    ),
    _exact(
        "scipy_power",
        **OF_SCIPY,
        exempt=("whitening", "commutation", "versus-eigh"),
        exempt_reason="a Schur-Pade power is accurate in the forward error only",
    ),
    _iteration("newton_schulz", roots.newton_schulz_iterates, 2, scale_free=True),
    _iteration("denman_beavers", roots.denman_beavers_iterates, 2),
    _iteration("denman_beavers_plain", roots.denman_beavers_plain_iterates, 2),
    _iteration("minimax_cubic", partial(roots.minimax_iterates, lower=1e-4, degree=3), 2, scale_free=True),
    # the steps that level the error over [1e-4, 1] have no order: one falls below rounding as the regime begins
    _iteration("minimax_quintic", partial(roots.minimax_iterates, lower=1e-4, degree=5), 0, scale_free=True),
    _iteration("minimax_quintic", partial(roots.minimax_iterates, lower=1.0, degree=5), 3, lower=1.0, scale_free=True),
    _steps("newton_schulz", 1, scale_free=True),
    _steps("newton_schulz", 5, scale_free=True),
    _steps("newton_schulz", 15, scale_free=True),
    _steps("denman_beavers", 4),
    _steps("denman_beavers", 9, scaled_steps=4),
    _steps("denman_beavers_plain", 5),
    _steps("minimax_cubic", 5, scale_free=True),
    _steps("minimax_quintic", 5, scale_free=True),
    *(_exact("spectral", adjoint=adjoint, derivatives=DERIVATIVES) for adjoint in ("eigenbasis", "lyapunov")),
    *(
        _steps(method, steps, scaled_steps, adjoint=adjoint)
        for method, steps, scaled_steps in (
            ("newton_schulz", 5, 0),
            ("newton_schulz", 15, 0),
            ("minimax_cubic", 5, 0),
            ("minimax_quintic", 5, 0),
        )
        for adjoint in ("autograd", "reverse", "eigenbasis")
    ),
    # torch differentiates the Cholesky inverse wrongly in forward mode, so that is refused
    _steps("denman_beavers", 9, 4, adjoint="autograd", derivatives=("reverse", "second")),
    _steps("denman_beavers", 9, 4, adjoint="reverse"),
    # a minimax cubic's coefficients differ from step to step, so that it shows more of what the kernels do
    *(
        kernels
        for steps in (5, 15)
        for kernels in _kernels(
            "newton_schulz",
            steps,
            scale_free=True,
            interpreted=partial(_interpreted_steps, steps),
            same_kernels="minimax_cubic.T5",
        )
    ),
    *_kernels("minimax_cubic", 5, scale_free=True, interpreted=partial(_interpreted_steps, 5)),
    *_kernels("minimax_quintic", 5, scale_free=True, interpreted=partial(_interpreted_steps, 5)),
    *_kernels("denman_beavers", 9, 4, interpreted=_interpreted_sweeps),
    # nine scaled steps are the root, which eigh reaches no closer than its own backward error (docs/findings.md)
    _steps("denman_beavers", 9, 4, adjoint="eigenbasis", growth=0.75),
)


PATCH_LAWS = {
    "im2col": PatchLaw(flops=4, memory=2),
    "windows": PatchLaw(flops=4, memory=2),
    "shifted": PatchLaw(flops=4, memory=0),
    "lagged": PatchLaw(flops=2, memory=0),
}


def _covariance(
    algorithm: str, adjoint: str = "auto", derivatives: tuple[str, ...] = DERIVATIVES, **promises: Any
) -> Implementation:
    name = algorithm if adjoint == "auto" else f"{algorithm}.{adjoint}"
    function = partial(patch_covariance, algorithm=algorithm, adjoint=adjoint)
    law = PATCH_LAWS.get(algorithm) if adjoint == "auto" else None
    return Implementation(name, "covariance", function, derivatives=derivatives, law=law, **promises)


def _covariance_kernels(algorithm: str) -> tuple[Implementation, ...]:
    """The algorithm by Triton kernels, one entry for each way of multiplying; half types are shifted in float32."""
    return tuple(
        Implementation(
            f"{algorithm}.triton.{precision}",
            "covariance",
            partial(patch_covariance, algorithm=algorithm, backend="triton", precision=precision),
            dtypes=(torch.float32, torch.float16, torch.bfloat16) if precision == "ieee" else (torch.float32,),
            devices=("cuda", "interpreter"),
            precision=precision,
            derivatives=("reverse",),
            law=PatchLaw(PATCH_LAWS[algorithm].flops, memory=0),
            interpreted=partial(_interpreted, algorithm),
        )
        for precision in PRECISIONS
    )


def _interpreted(algorithm: str, problem: Any) -> float:
    """Milliseconds of Triton's interpreter for patches, or for their gradient."""
    # Triton is loaded when it is first asked for
    from ndbench.kernels.covariance.interpreted import adjoint_milliseconds, milliseconds  # noqa: PLC0415

    images = getattr(problem, "images", problem)
    arguments = images.arguments()
    del arguments["eps"]
    patches, shape = Patches.of(**arguments), (images.N, images.C, images.H, images.W)
    taken = milliseconds(algorithm, shape, patches)
    return taken if images is problem else taken + adjoint_milliseconds(shape, patches)


ONE_PRODUCT = "the product of the patch matrix with itself adds up (a, b) and (b, a) in different orders"

ADJOINTS = ("autograd", "handwritten")

COVARIANCE = (
    _covariance("im2col", exempt=("exact-symmetry",), exempt_reason=ONE_PRODUCT),
    _covariance("windows", devices=("cpu",), derivatives=()),
    _covariance("shifted"),
    _covariance("lagged"),
    *(_covariance(algorithm, adjoint) for algorithm in ("shifted", "lagged") for adjoint in ADJOINTS),
    *(_covariance("im2col", a, exempt=("exact-symmetry",), exempt_reason=ONE_PRODUCT) for a in ADJOINTS),
    _covariance("auto", exempt=("exact-symmetry",), exempt_reason=f"it may choose im2col: {ONE_PRODUCT}"),
    *_covariance_kernels("im2col"),
    *_covariance_kernels("lagged"),
)

DECONVOLUTION = (Implementation("deconvolve", "deconvolution", deconvolve),)


def _layer(function: Callable[..., Tensor], variant: str = "", **options: str) -> Implementation:
    """A whole layer with options that do not change what it computes."""
    name = function.__name__
    # plain autograd has no forward mode through the Cholesky inverse of the product form
    promised = ("reverse", "second") if options.get("root_adjoint") == "autograd" else DERIVATIVES
    return Implementation(name + variant, name.replace("_", "-"), partial(function, **options), derivatives=promised)


PLAIN = {"adjoint": "autograd", "root_adjoint": "autograd"}

DECONVOLVED_CONV2D = (
    _layer(deconvolved_conv2d),
    _layer(deconvolved_conv2d, ".shifted.autograd", algorithm="shifted", **PLAIN),
    _layer(deconvolved_conv2d, ".lagged.eigenbasis", algorithm="lagged", root_adjoint="eigenbasis"),
)

DECONVOLVED_LINEAR = (
    _layer(deconvolved_linear),
    _layer(deconvolved_linear, ".autograd", **PLAIN),
    _layer(deconvolved_linear, ".eigenbasis", root_adjoint="eigenbasis"),
)


SINGLE = (torch.float64, torch.float32)

LAYERS = (
    Implementation("Deconv2d", "layer", deconv2d, dtypes=SINGLE, derivatives=DERIVATIVES),
    Implementation("DeconvLinear", "layer-of-one-pixel", deconv_linear, dtypes=SINGLE, derivatives=DERIVATIVES),
    Implementation("ChannelDeconv2d", "layer-of-one-pixel", channel_deconv2d, dtypes=SINGLE, derivatives=DERIVATIVES),
)

CATALOG = INVERSE_SQRT + COVARIANCE + DECONVOLUTION + DECONVOLVED_CONV2D + DECONVOLVED_LINEAR + LAYERS
