"""The checks of the suite: a tuple, each with the problems it is passed on."""

from ndbench.verify import values
from ndbench.verify.check import Check
from ndbench.verify.problem_sets import VALUES

_VALUE_JUDGES = {
    "forward": values.forward,
    "steps": values.steps,
    "whitening": values.whitening,
    "commutation": values.commutation,
    "symmetry": values.symmetry,
    "definiteness": values.definiteness,
    "versus-eigh": values.versus_eigh,
}

CHECKS: tuple[Check, ...] = tuple(Check(name, "inverse-sqrt", judge, VALUES) for name, judge in _VALUE_JUDGES.items())
