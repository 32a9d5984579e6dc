"""Inverse square roots with wrong gradients, each with the rung that must catch it."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from ndbench import inverse_sqrt, roots
from ndbench.catalog import CATALOG, Implementation
from ndbench.roots.precision import identity_like
from ndbench.targets import Steps
from tests.verify.gradients.wrong_gradients import (
    Borrowed,
    HalvedTangent,
    Refused,
    Sabotage,
    StorageRead,
    changed,
    fed,
    lost,
    of_a_shared_buffer,
    one_percent_too_large,
    sabotage,
    twice_of_a_constant,
)

ROOTS = {i.name: i for i in CATALOG if i.operation == "inverse-sqrt"}
NS5 = ROOTS["newton_schulz.T5"]
SPECTRAL = ROOTS["spectral"]
SCALED = replace(ROOTS["denman_beavers.T4"], target=Steps("denman_beavers", 2, scaled_steps=2))


def loop(A: Tensor, steps: int = 5, norm: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """Newton-Schulz with any norm, through autograd."""
    c = A.norm(dim=(-2, -1), keepdim=True) if norm is None else norm(A)
    Y, Z, eye = A / c, identity_like(A).expand_as(A), identity_like(A)
    for _ in range(steps):
        S = (3 * eye - Z @ Y) / 2
        Y, Z = Y @ S, S @ Z
    return Z / c.sqrt()


def borrowed(other: Callable[[Tensor], Tensor], values: Callable[[Tensor], Tensor] = loop) -> Callable[[Tensor], Any]:
    return lambda A: Borrowed.apply(A, values, other)


def own_norm(A: Tensor) -> Tensor:
    return A.norm(dim=(-2, -1), keepdim=True)


def detached_norm(A: Tensor) -> Tensor:
    return own_norm(A).detach()


def batch_norm(A: Tensor) -> Tensor:
    return own_norm(A).detach() * (A.norm() / A.norm().detach())


def zero_for_the_last(g: Tensor, *_: Any) -> Tensor:
    return torch.cat([g[:-1], torch.zeros_like(g[-1:])])


def zeros(g: Tensor, *_: Any) -> Tensor:
    return torch.zeros_like(g)


def slightly_too_large(g: Tensor, *_: Any) -> Tensor:
    return g * (1 + 1e-4)


def in_float32(g: Tensor, A: Tensor, G: tuple[Tensor, ...]) -> Tensor:
    leaf = A.float().requires_grad_()
    with torch.enable_grad():
        return torch.autograd.grad(loop(leaf), leaf, G[0].float())[0].to(A.dtype)


def upstream_symmetrized_in_place(g: Tensor, A: Tensor, G: tuple[Tensor, ...]) -> Tensor:
    G[0].add_(G[0].mT.clone()).div_(2)
    return g


def by_subtraction(A: Tensor) -> Tensor:
    """The exact root's gradient by quotients (d_i - d_j) / (l_i - l_j), the gap kept from zero by 1e-8."""
    eigenvalues, V = torch.linalg.eigh(A.detach())
    d = eigenvalues.rsqrt()
    gap = eigenvalues[:, :, None] - eigenvalues[:, None, :]
    quotient = (d[:, :, None] - d[:, None, :]) / (gap + 1e-8)
    quotient = torch.where(gap == 0, -0.5 * d[:, :, None] ** 3, quotient)
    value = (V * d[:, None, :]) @ V.mT
    linear = V @ (quotient * (V.mT @ (A - A.detach()) @ V)) @ V.mT
    return value + linear


def eigenvectors_through_autograd(A: Tensor) -> Tensor:
    eigenvalues, V = torch.linalg.eigh(A)
    return (V * eigenvalues.rsqrt()[..., None, :]) @ V.mT


def constant_scale(A: Tensor) -> Tensor:
    """Scaled product form, mu held constant in the backward pass."""
    eye, M = identity_like(A), A
    Z = eye.expand_as(A)
    for _ in range(2):
        mu2 = (M.detach().logdet() / -A.shape[-1]).exp()[:, None, None]
        N = torch.linalg.inv(M) / mu2
        Z, M = mu2**0.5 * Z @ (eye + N) / 2, (eye + (mu2 * M + N) / 2) / 2
    return Z


def raising(A: Tensor) -> Tensor:
    if A.requires_grad:
        raise RuntimeError("expected scalar type Double but found Float")
    return loop(A)


def second_derivative_detached(A: Tensor) -> Tensor:
    """Right gradients, and beyond order 3 one that cannot be differentiated again."""
    return loop(A) if A.shape[-1] <= 3 else changed(lambda g, *_: g.detach(), loop)(A)


def spectral(A: Tensor) -> Tensor:
    return inverse_sqrt(A.detach(), method="spectral")


def root(name: str, rung: str, function: Callable[[Tensor], Any], base: Implementation = NS5) -> Sabotage:
    return sabotage(name, rung, base, function, unchecked=None)


IN_BFLOAT16 = replace(NS5, dtypes=(torch.bfloat16,))
FOUR_STEPS = partial(inverse_sqrt, steps=4)

ROOT_SABOTAGE = (
    root("transposed", "closed-form", changed(lambda g, *_: g.mT, loop)),
    root("norm held constant", "closed-form", partial(loop, norm=detached_norm)),
    root("norm held constant, by blocks", "block-matrix", partial(loop, norm=detached_norm)),
    root("upper triangle only", "closed-form", changed(lambda g, *_: g.triu(), loop)),
    root("for G as if it were symmetric", "closed-form", changed(lambda g, *_: g + g.triu(1) - g.triu(1).mT, loop)),
    root("one step too few in the adjoint", "closed-form", borrowed(partial(loop, steps=4))),
    root("one step too few, by complex steps", "complex-step", borrowed(partial(loop, steps=4))),
    root("gradient of the exact root", "differences", borrowed(partial(loop, steps=40))),
    root("gradient of the exact root, by its remainder", "taylor", borrowed(partial(loop, steps=40))),
    root("norm of the whole batch", "batch-independence", borrowed(partial(loop, norm=batch_norm))),
    root("norm of the whole batch, by its value", "closed-form", borrowed(partial(loop, norm=batch_norm))),
    root("accumulated in float32", "closed-form", changed(in_float32, loop)),
    root("scaled by 1 + 1e-4", "closed-form", changed(slightly_too_large, loop)),
    root("scaled by 1 + 1e-4, by differences", "differences", changed(slightly_too_large, loop)),
    root("zero for one matrix", "closed-form", changed(zero_for_the_last, loop)),
    root("zeros", "taylor", changed(zeros, loop)),
    root("saved tensor overwritten", "interleaving", of_a_shared_buffer(loop)),
    root("upstream gradient changed in place", "inputs-unchanged", changed(upstream_symmetrized_in_place, loop)),
    root("tangent halved", "dot-product", fed(HalvedTangent.apply, loop)),
    root("one percent too large", "wiring", changed(one_percent_too_large, loop)),
    root("second derivative of a constant", "second-derivative", twice_of_a_constant(loop)),
    root("NaN at repeated eigenvalues", "repeated", eigenvectors_through_autograd, SPECTRAL),
    root("five steps for the exact root", "lyapunov", borrowed(loop, spectral), SPECTRAL),
    root("gap kept from zero by 1e-8", "closed-form", borrowed(by_subtraction, spectral), SPECTRAL),
    root("determinantal scale held constant", "block-matrix", constant_scale, SCALED),
    root("answer detached", "closed-form", fed(Tensor.detach, loop)),
    root("raises when a gradient is asked for", "closed-form", raising),
    root("forward mode raises", "dot-product", fed(Refused.apply, loop)),
    root("second derivative refused beyond order 3", "second-derivative", second_derivative_detached),
    root("lost beyond order 64", "closed-form", fed(lambda A: lost(A, A.shape[-1] > 64), inverse_sqrt)),
    root(
        "lost beyond order 12 in float64",
        "closed-form",
        fed(lambda A: lost(A, A.shape[-1] > 12 and A.dtype == torch.float64), loop),
    ),
    root("storage of G read as if contiguous", "strides", lambda A: StorageRead.apply(A, loop)),
    root("lost in several batch dimensions", "leading-dimensions", fed(lambda A: lost(A, A.ndim > 3), loop)),
    root("lost where entries are large", "closed-form", fed(lambda A: lost(A, bool(A.abs().max() > 50)), loop)),
    root("lost where entries are small", "closed-form", fed(lambda A: lost(A, bool(A.abs().max() < 1e-2)), loop)),
    root("scaled by 1.15 in bfloat16", "closed-form", changed(lambda g, *_: g * 1.15, NS5.function), IN_BFLOAT16),
    root("one step too few in bfloat16", "closed-form", borrowed(FOUR_STEPS, NS5.function), IN_BFLOAT16),
    root(
        "scaled by 1.01 where float32 is rounded once",
        "closed-form",
        changed(lambda g, *_: g * 1.01, SPECTRAL.function),
        replace(SPECTRAL, dtypes=(torch.bfloat16,)),
    ),
)

RIGHT_ROOTS = (
    replace(NS5, function=partial(roots.newton_schulz, steps=5), unchecked=None),
    replace(SPECTRAL, name="inverse of a converged loop", function=partial(loop, steps=40), unchecked=None),
    Implementation(
        "plain.T5", "inverse-sqrt", partial(roots.denman_beavers_plain, steps=5), Steps("denman_beavers_plain", 5)
    ),
)
