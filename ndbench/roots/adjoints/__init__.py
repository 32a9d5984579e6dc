"""Inverse square roots with hand-written adjoints, as autograd functions."""

from ndbench.roots.adjoints.coupled import Coupled
from ndbench.roots.adjoints.eigenbasis import Eigenbasis
from ndbench.roots.adjoints.exact import Spectral
from ndbench.roots.adjoints.functions import Recomputed, Recurrence, with_adjoint
from ndbench.roots.adjoints.product_form import ProductForm

__all__ = [
    "Coupled",
    "Eigenbasis",
    "ProductForm",
    "Recomputed",
    "Recurrence",
    "Spectral",
    "with_adjoint",
]
