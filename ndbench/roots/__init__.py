"""Inverse square roots of symmetric positive definite matrices, one algorithm a file.

Every function takes A of shape (..., n, n), symmetric positive definite, and returns A^(-1/2) or the map of T steps
of an iteration. Nothing here validates: `ndbench.inverse_sqrt` does.
"""

from ndbench.roots.denman_beavers import denman_beavers, denman_beavers_iterates
from ndbench.roots.denman_beavers_plain import denman_beavers_plain, denman_beavers_plain_iterates
from ndbench.roots.minimax import minimax, minimax_iterates
from ndbench.roots.newton_schulz import newton_schulz, newton_schulz_iterates
from ndbench.roots.scipy_reference import scipy_power, scipy_sqrtm
from ndbench.roots.spectral import spectral
from ndbench.roots.tolerance import Convergence, Status, until

__all__ = [
    "Convergence",
    "Status",
    "denman_beavers",
    "denman_beavers_iterates",
    "denman_beavers_plain",
    "denman_beavers_plain_iterates",
    "minimax",
    "minimax_iterates",
    "newton_schulz",
    "newton_schulz_iterates",
    "scipy_power",
    "scipy_sqrtm",
    "spectral",
    "until",
]
