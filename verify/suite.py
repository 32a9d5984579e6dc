"""The checks of the suite: a tuple, each with the problems it is passed on."""

from ndbench.catalog import Implementation
from ndbench.targets import Exact
from ndbench.verify import values
from ndbench.verify.check import Check
from ndbench.verify.problem_sets import VALUES


def _exact(implementation: Implementation) -> bool:
    return isinstance(implementation.target, Exact)


def _truncated(implementation: Implementation) -> bool:
    return not _exact(implementation)


CHECKS: tuple[Check, ...] = (
    Check("forward", "inverse-sqrt", values.forward, VALUES, _exact),
    Check("steps", "inverse-sqrt", values.steps, VALUES, _truncated),
    Check("whitening", "inverse-sqrt", values.whitening, VALUES, _exact),
    Check("commutation", "inverse-sqrt", values.commutation, VALUES),
    Check("symmetry", "inverse-sqrt", values.symmetry, VALUES),
    Check("definiteness", "inverse-sqrt", values.definiteness, VALUES),
    Check("versus-eigh", "inverse-sqrt", values.versus_eigh, VALUES, _exact),
)
