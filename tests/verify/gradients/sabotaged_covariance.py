"""Patch covariances with wrong gradients, each with the rung that must catch it."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ndbench import patch_covariance
from ndbench.catalog import CATALOG
from tests.verify.gradients.wrong_gradients import (
    HalvedTangent,
    Sabotage,
    StorageRead,
    changed,
    fed,
    later_images_lost,
    lost,
    of_a_shared_buffer,
    one_percent_too_large,
    sabotage,
    twice_of_a_constant,
)

IM2COL = next(i for i in CATALOG if i.name == "im2col")


def covariance(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    return patch_covariance(x, *arguments, algorithm="im2col", **how)


def border_rows_dropped(g: Tensor, *_: Any) -> Tensor:
    return g.index_fill(2, torch.tensor([0]), 0)


def wrong_divisor(g: Tensor, x: Tensor, upstream: Any) -> Tensor:
    return g * (1 + 1 / (x.numel() - 1))


def mean_forgotten(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    return mean * 1.0 + 0 * mean.detach() - (mean - mean.detach()), cov


def mean_detached(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    return mean.detach(), cov


def uncentered(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    held = mean.detach()
    outer = mean[..., :, None] * held[..., None, :]
    extra = outer + outer.mT
    return mean, cov + (extra - extra.detach())


def unsymmetrized(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    mean, cov = covariance(x, *arguments, **how)
    return mean, 2 * cov.triu() - cov.triu().detach() * 2 + cov.detach()


def of_covariance(name: str, rung: str, function: Callable[..., Any]) -> Sabotage:
    return sabotage(name, rung, IM2COL, function)


def of_storage(x: Tensor, *arguments: Any, **how: Any) -> tuple[Tensor, Tensor]:
    return StorageRead.apply(x, lambda y: covariance(y, *arguments, **how))


COVARIANCE_SABOTAGE = (
    of_covariance("border rows dropped", "enumeration", changed(border_rows_dropped, covariance)),
    of_covariance("wrong divisor", "enumeration", changed(wrong_divisor, covariance)),
    of_covariance("wrong divisor, by differences", "differences", changed(wrong_divisor, covariance)),
    of_covariance("mean forgotten", "enumeration", mean_forgotten),
    of_covariance("uncentered", "enumeration", uncentered),
    of_covariance("upper triangle of G", "enumeration", unsymmetrized),
    of_covariance("covariance tangent halved", "dot-product", fed(HalvedTangent.apply, covariance)),
    of_covariance("one percent too large, covariance", "wiring", changed(one_percent_too_large, covariance)),
    of_covariance("covariance second derivative of a constant", "second-derivative", twice_of_a_constant(covariance)),
    of_covariance("lost from the third image on", "enumeration", fed(later_images_lost, covariance)),
    of_covariance("lost beyond eight channels", "enumeration", fed(lambda x: lost(x, x.shape[1] > 8), covariance)),
    of_covariance("covariance detached", "enumeration", fed(Tensor.detach, covariance)),
    of_covariance("mean detached from x", "enumeration", mean_detached),
    of_covariance("covariance's storage of G read as if contiguous", "strides", of_storage),
    of_covariance("covariance buffer overwritten", "interleaving", of_a_shared_buffer(covariance)),
)
