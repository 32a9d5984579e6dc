"""Wrong inverse square roots, each with the check that must catch it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ndbench import inverse_sqrt, roots
from ndbench.catalog import CATALOG, Implementation
from ndbench.roots.precision import frobenius_norm, identity_like
from ndbench.targets import Exact, Steps

BASE = {i.name: i for i in CATALOG if i.operation == "inverse-sqrt"}
SPECTRAL = BASE["spectral"]
NS5 = BASE["newton_schulz.T5"]


@dataclass(frozen=True)
class Sabotage:
    name: str
    check: str
    implementation: Implementation
    raised: str = ""
    """The exception by which it is noticed, if it is not measured."""

    def __str__(self) -> str:
        return self.name


def exact(name: str, check: str, function: Callable[[Tensor], Any], *, raised: str = "", **changes: Any) -> Sabotage:
    """A wrong function in the place of the spectral root."""
    wrong = replace(SPECTRAL, name=f"sabotaged: {name}", function=function, **changes)
    return Sabotage(name, check, wrong, raised)


def five_steps(name: str, function: Callable[[Tensor], Any], check: str = "steps") -> Sabotage:
    """A wrong function in the place of five Newton-Schulz steps."""
    return Sabotage(name, check, replace(NS5, name=f"sabotaged: {name}", function=function))


def newton_schulz_scaled_by(c: Callable[[Tensor], Tensor], steps: int = 5) -> Callable[[Tensor], Tensor]:
    def function(A: Tensor) -> Tensor:
        scale = c(A)
        Y, Z, eye = A / scale, identity_like(A).expand_as(A), identity_like(A)
        for _ in range(steps):
            S = (3 * eye - Z @ Y) / 2
            Y, Z = Y @ S, S @ Z
        return Z / scale.sqrt()

    return function


def first_matrix_only(A: Tensor) -> Tensor:
    return inverse_sqrt(A[:1], method="spectral").expand(len(A), -1, -1)


def nan_in_the_last(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral").clone()
    X[-1, 0, 0] = torch.nan
    return X


def another_square_root(A: Tensor) -> Tensor:
    """Whitens as well as the principal root, but the sign of its smallest eigenvalue is wrong."""
    eigenvalues, V = torch.linalg.eigh(A.double())
    d = eigenvalues.rsqrt()
    d[:, -1] *= -1
    return ((V * d[:, None, :]) @ V.mT).to(A.dtype)


def cholesky_whitening(A: Tensor) -> Tensor:
    """L^-1 with A = L L^T: L^-1 A L^-T = I, but it is not the symmetric root."""
    return torch.linalg.inv(torch.linalg.cholesky(A.double())).to(A.dtype)


def with_noise(A: Tensor, size: float, *, symmetric: bool) -> Tensor:
    X = inverse_sqrt(A, method="spectral")
    noise = torch.randn(A.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64).to(A.dtype)
    noise = (noise + noise.mT) / 2 if symmetric else noise.triu(1)
    return X + size * X.norm(dim=(1, 2), keepdim=True) * noise / A.shape[-1]


def seven_u_kappa_off(A: Tensor) -> Tensor:
    u = torch.finfo(A.dtype).eps / 2
    kappa = torch.linalg.cond(A.double()).clamp(min=2)[:, None, None]
    return (inverse_sqrt(A.double(), method="spectral") * (1 + 7 * u * kappa)).to(A.dtype)


def input_scaled_in_place(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral")
    A.div_(A.norm())
    return X


class StaleBuffer:
    """Hands out the same tensor every time, so the next call overwrites the answer."""

    def __init__(self) -> None:
        self.buffers: dict[Any, Tensor] = {}

    def __call__(self, A: Tensor) -> Tensor:
        buffer = self.buffers.setdefault((A.shape, A.dtype), torch.empty_like(A))
        return buffer.copy_(inverse_sqrt(A, method="spectral"))


class OneCallLate:
    """Answers the question before."""

    def __init__(self) -> None:
        self.before: dict[Any, Tensor] = {}

    def __call__(self, A: Tensor) -> Tensor:
        X = inverse_sqrt(A, method="spectral")
        late = self.before.get((A.shape, A.dtype), X)
        self.before[A.shape, A.dtype] = X
        return late


def unseeded_rounding(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral")
    return X * (1 + torch.finfo(A.dtype).eps * torch.randint(0, 2, A.shape))


def storage_order(A: Tensor) -> Tensor:
    X = inverse_sqrt(A.contiguous(), method="spectral")
    return X if A.is_contiguous() else X.roll(1, dims=-1)


def batch_wide_shift(A: Tensor) -> Tensor:
    return inverse_sqrt(A + 1e-3 * A.abs().max() * identity_like(A), method="spectral")


def first_entry_raised(A: Tensor) -> Tensor:
    A = A.clone()
    A[:, 0, 0] *= 1.05
    return inverse_sqrt(A, method="spectral")


def diagonal_only(A: Tensor) -> Tensor:
    return torch.diag_embed(A.diagonal(dim1=1, dim2=2).rsqrt())


def coupled_blocks(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral")
    return X + 1e-2 * X.abs().amax(dim=(1, 2), keepdim=True)


def absolute_eps(A: Tensor) -> Tensor:
    return inverse_sqrt(A + 1e-2 * identity_like(A), method="spectral")


def rounded(bits: int, A: Tensor) -> Tensor:
    """Mantissas of so many bits, as tensor cores round their operands."""
    mantissa, exponent = torch.frexp(A)
    return torch.ldexp((mantissa * 2**bits).round() / 2**bits, exponent)


def newton_schulz_rounding_operands(A: Tensor, bits: int) -> Tensor:
    c = frobenius_norm(A)
    Y, Z, eye = A / c, identity_like(A).expand_as(A), identity_like(A)
    for _ in range(5):
        S = (3 * eye - rounded(bits, Z) @ rounded(bits, Y)) / 2
        Y, Z = rounded(bits, Y) @ rounded(bits, S), rounded(bits, S) @ rounded(bits, Z)
    return (Z / c.sqrt()).to(A.dtype)


def uncoupled_iterates(A: Tensor):
    """P <- (3 P - P^3 A) / 2: the same map as Newton-Schulz, unstable in floating point."""
    c = frobenius_norm(A)
    P = identity_like(A).expand_as(A)
    while True:
        yield P / c.sqrt(), P
        P = (3 * P - P @ P @ P @ (A / c)) / 2


def drifting_iterates(A: Tensor):
    """Newton-Schulz with an error that doubles in each step: within the budget at first."""
    for k, (X, P) in enumerate(roots.newton_schulz_iterates(A)):
        yield X * (1 + 2.0 ** (k - 58)), P


def damped_iterates(A: Tensor):
    """Half a Newton-Schulz step at a time: linear convergence."""
    c = frobenius_norm(A)
    Y, Z, eye = A / c, identity_like(A).expand_as(A), identity_like(A)
    while True:
        P = Z @ Y
        yield Z / c.sqrt(), P
        S = (5 * eye - P) / 4
        Y, Z = Y @ S, S @ Z


def answers_bad_matrices(A: Tensor) -> Tensor:
    return torch.nan_to_num(inverse_sqrt(A, method="spectral", check=False), nan=1.0)


def one_bad_matrix_spoils_the_batch(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral", check=False)
    return X + 0 * X.sum()


def raises_without_a_name(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral", check=False)
    if X.isnan().any():
        raise ValueError("bad matrix")
    return X


def validates_the_first(A: Tensor) -> Tensor:
    inverse_sqrt(A[:1], method="spectral")
    return inverse_sqrt(A, method="spectral", check=False)


def always_blames_the_first(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral", check=False)
    if X.isnan().any():
        raise ValueError("not positive definite, at batch index [0]")
    return X


def nan_in_the_first_whatever_is_wrong(A: Tensor) -> Tensor:
    X = inverse_sqrt(A, method="spectral", check=False)
    bad = X.isnan().any()
    X = torch.nan_to_num(X, nan=0.0)
    X[0] = torch.where(bad, torch.nan, X[0])
    return X


def zeros_where_good(A: Tensor) -> Tensor:
    return 0 * inverse_sqrt(A, method="spectral", check=False)


def lower_triangle_only(A: Tensor, *, check: bool = False) -> Tensor:
    return inverse_sqrt(A.tril() + A.tril(-1).mT, method="spectral", check=check)


def one_batch_dimension(A: Tensor) -> Tensor:
    if A.ndim != 3:
        raise RuntimeError("A must have three dimensions")
    return inverse_sqrt(A, method="spectral")


def small_orders_only(A: Tensor) -> Tensor:
    return inverse_sqrt(A, method="spectral") * (A.shape[-1] <= 256)


def float32_for_large_orders(A: Tensor) -> Tensor:
    root = partial(inverse_sqrt, method="spectral", check=False)
    return root(A.float()).to(A.dtype) if A.shape[-1] > 64 else root(A)


def raises(A: Tensor) -> Tensor:
    raise RuntimeError("out of memory")


def right(A: Tensor) -> Tensor:
    return inverse_sqrt(A, method="spectral")


def steps_of(method: str, steps: int, **options: Any) -> Callable[[Tensor], Tensor]:
    return partial(inverse_sqrt, method=method, steps=steps, **options)


SABOTAGE = (
    exact("zeros", "forward", torch.zeros_like),
    exact("identity", "forward", lambda A: identity_like(A).expand_as(A).clone()),
    exact("scaled by 1 + 1e-3", "forward", lambda A: right(A) * 1.001),
    exact("scaled by 1 + 1e-6", "forward", lambda A: right(A) * (1 + 1e-6)),
    exact("first matrix only", "forward", first_matrix_only),
    exact("NaN in one entry", "forward", nan_in_the_last),
    exact("infinity", "forward", lambda A: right(A) + torch.inf),
    exact("one call late", "forward", OneCallLate()),
    exact("float64 computed in float32", "forward", lambda A: right(A.float()).to(A.dtype)),
    exact("answers in float64", "forward", lambda A: right(A.double()), raised="BrokenPromise"),
    exact("answers in another shape", "forward", lambda A: right(A).flatten(), raised="BrokenPromise"),
    exact("answers nothing", "forward", lambda A: None, raised="BrokenPromise"),
    exact("raises", "forward", raises, raised="RuntimeError: out of memory"),
    exact("five steps claimed to be the root", "forward", steps_of("newton_schulz", 5)),
    exact("square root instead of its inverse", "whitening", lambda A: torch.linalg.inv(right(A))),
    exact("inverse instead of its square root", "whitening", torch.linalg.inv),
    exact("whole-batch norm, converged", "whitening", newton_schulz_scaled_by(lambda A: A.norm(), 8)),
    exact("negative root", "definiteness", lambda A: -right(A)),
    exact("another square root", "definiteness", another_square_root),
    exact("Cholesky whitening", "symmetry", cholesky_whitening),
    exact("upper triangle off", "symmetry", partial(with_noise, size=1e-2, symmetric=False)),
    exact("noise that does not commute", "commutation", partial(with_noise, size=1e-2, symmetric=True)),
    exact("seven u kappa off", "versus-eigh", seven_u_kappa_off),
    exact("declared scale-free, is not", "scaling", BASE["scipy_sqrtm"].function, scale_free=True),
    exact("absolute eps", "scaling", absolute_eps),
    exact("diagonal only", "similarity", diagonal_only),
    exact("first entry raised", "permutation", first_entry_raised),
    exact("coupled blocks", "block-diagonal", coupled_blocks),
    exact("batch-wide shift", "batch-independence", batch_wide_shift),
    exact("storage order", "strides", storage_order),
    exact("input scaled in place", "inputs-unchanged", input_scaled_in_place),
    exact("stale buffer", "repeatability", StaleBuffer()),
    exact("unseeded rounding", "repeatability", unseeded_rounding),
    exact("answers bad matrices", "isolation", right, unchecked=answers_bad_matrices),
    exact("one bad matrix spoils the batch", "isolation", right, unchecked=one_bad_matrix_spoils_the_batch),
    exact("NaN in the first", "isolation", right, unchecked=nan_in_the_first_whatever_is_wrong),
    exact("unchecked zeros", "isolation", right, unchecked=zeros_where_good),
    exact("unchecked reads the lower triangle", "isolation", right, unchecked=lower_triangle_only),
    exact("validates the first", "rejection", validates_the_first),
    exact("always blames the first", "rejection", always_blames_the_first),
    exact("reads the lower triangle", "rejection", partial(lower_triangle_only, check=True)),
    exact("one batch dimension", "leading-dimensions", one_batch_dimension, raised="RuntimeError"),
    exact("small orders only", "forward", small_orders_only),
    exact("float32 for large orders", "forward", float32_for_large_orders),
    exact("never rejects", "rejection", partial(inverse_sqrt, method="spectral", check=False)),
    exact("rejects without a name", "rejection", raises_without_a_name),
    exact("uncoupled iteration", "stability", right, iterates=uncoupled_iterates),
    exact("drifts once converged", "stability", right, iterates=drifting_iterates),
    exact("never converges", "stability", right, iterates=lambda A: iter(lambda: (A, A), None)),
    exact("damped iteration", "order", right, iterates=damped_iterates, order=2),
    five_steps("one step too few", steps_of("newton_schulz", 4)),
    five_steps("one step too many", steps_of("newton_schulz", 6)),
    five_steps("converged instead of five steps", right),
    five_steps("scaled by the trace", newton_schulz_scaled_by(lambda A: torch.einsum("bii->b", A)[:, None, None])),
    five_steps("not scaled", newton_schulz_scaled_by(lambda A: torch.ones_like(A[:, :1, :1]))),
    five_steps("whole-batch norm", newton_schulz_scaled_by(lambda A: A.norm())),
    five_steps("forgets to scale back", lambda A: inverse_sqrt(A, steps=5) * frobenius_norm(A).sqrt().to(A.dtype)),
    five_steps("tf32 products in float32", partial(newton_schulz_rounding_operands, bits=11)),
    five_steps("bfloat16 products in float32", partial(newton_schulz_rounding_operands, bits=8)),
    Sabotage(
        "minimax for another lower bound",
        "steps",
        replace(BASE["minimax_quintic.T5"], function=steps_of("minimax_quintic", 5, lower=2e-4)),
    ),
    Sabotage(
        "one scaled step too few",
        "steps",
        replace(BASE["denman_beavers.T9s4"], function=steps_of("denman_beavers", 9, scaled_steps=3)),
    ),
    Sabotage("wrong target", "steps", replace(NS5, target=Steps("newton_schulz", 6))),
    Sabotage("wrong iteration", "steps", replace(NS5, target=Steps("minimax_cubic", 5))),
    Sabotage("steps claimed exact", "whitening", replace(NS5, target=Exact())),
)
