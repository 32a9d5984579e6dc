"""The scaling checks, each with the problems it is passed on."""

from collections.abc import Callable
from typing import Any

from ndbench.catalog import Implementation
from ndbench.laws import PatchLaw
from ndbench.verify.check import Check, Measurement
from ndbench.verify.scaling import flops, launches, memory, times
from ndbench.verify.scaling.problems import (
    FLOPS,
    INTERIORS,
    LAUNCHES,
    LAUNCHES_OF_ROOTS,
    MEMORY,
    MEMORY_OF_ROOTS,
    PADDED,
    POWERS,
    PRODUCTS,
    TIMES_OF_PATCHES,
    TIMES_OF_ROOTS,
)

FAMILY = "scaling-"
"""What the names of all checks of scaling begin with."""


def claims(implementation: Implementation) -> bool:
    """Whether it has a law to be held to."""
    return implementation.law is not None


def timeable(implementation: Implementation) -> bool:
    """Whether a time would not be that of an interpreter."""
    return claims(implementation) and implementation.devices != ("interpreter",)


def claims_lags(implementation: Implementation) -> bool:
    """Whether it claims to multiply every pair of pixels once."""
    return isinstance(implementation.law, PatchLaw) and implementation.law.flops == 2


LAUNCHES_OF_KERNELS = (
    Check(FAMILY + "launches", "covariance", launches.patches, LAUNCHES, launches.has_launches, patient=True),
    Check(FAMILY + "padding", "covariance", launches.padding, PADDED, launches.has_launches, patient=True),
    Check(FAMILY + "launches", "inverse-sqrt", launches.orders, LAUNCHES_OF_ROOTS, launches.has_launches, patient=True),
)

MEMORY_OF_CALLS = (
    Check(FAMILY + "memory", "inverse-sqrt", memory.orders, MEMORY_OF_ROOTS, claims, patient=True),
    Check(FAMILY + "memory", "covariance", memory.patches, MEMORY, claims, patient=True),
)

CHECKS_OF_KERNELS = (*LAUNCHES_OF_KERNELS, *MEMORY_OF_CALLS)
"""Those that kernels can be held to where they are interpreted."""

CHECKS: tuple[Check, ...] = (
    Check(FAMILY + "flops", "inverse-sqrt", flops.orders, POWERS, claims, patient=True),
    Check(FAMILY + "products", "inverse-sqrt", flops.products, PRODUCTS, claims, patient=True),
    Check(FAMILY + "flops", "covariance", flops.patches, FLOPS, claims, patient=True),
    *LAUNCHES_OF_KERNELS,
    Check(FAMILY + "interior", "covariance", flops.interior, INTERIORS, claims, patient=True),
    Check(FAMILY + "borders", "covariance", flops.borders, INTERIORS, claims_lags, patient=True),
    *MEMORY_OF_CALLS,
)


def _timed(judge: Callable[[Implementation, Any], Measurement]) -> tuple[Check, ...]:
    """The checks of times, which are part of a run only where they are asked for."""
    posed: dict[str, dict[str, tuple[Any, ...]]] = {"inverse-sqrt": TIMES_OF_ROOTS, "covariance": TIMES_OF_PATCHES}
    return tuple(Check(FAMILY + "times", operation, judge, problems, timeable) for operation, problems in posed.items())


TIMES: dict[str, tuple[Check, ...]] = {"off": (), "report": _timed(times.reported), "gate": _timed(times.judged)}
