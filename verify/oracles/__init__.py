"""Oracles: the truth about functions of symmetric positive definite matrices.

The truth of f at A = V diag(lambda) V^T is V diag(f(lambda)) V^T. A target (`ndbench.targets`) says which f: the
inverse square root, or the map of T steps of an iteration. `truth` gives it, from one of these oracles:

| oracle | file | answers for | trust |
|---|---|---|---|
| LAPACK in float64 | `float64` | every target | relative error about u kappa / 2, an estimate |
| mpmath | `multiprecision` | every target, small n | 50 digits, not rigorous |
| certified eigenpairs | `eigenvalue_enclosure` | every target, simple spectra | rigorous |
| residual | `residual` | the inverse square root, condition up to 1e14 | rigorous |
| recurrence | `recurrence_enclosure` | T-step maps, any spectrum | rigorous |
| closed forms | `closed_forms` | particular matrices | exact |

`recurrences` states the five maps once, for numbers, balls and matrices alike; `coefficients` computes those of the
minimax iterations. The rigorous oracles need python-flint, and derivatives by Schur methods need SciPy;
without them they are `OracleUnavailable`.

References:
    Higham, Functions of Matrices, SIAM 2008, chapters 3 and 6.
    Ye et al., Network Deconvolution, ICLR 2020, section 3.5.
    Johansson, Arb: efficient arbitrary-precision midpoint-radius interval arithmetic, 2017.
"""

from ndbench.verify.oracles.truth import Truth, truth
from ndbench.verify.oracles.unavailable import OracleUnavailable

__all__ = ["OracleUnavailable", "Truth", "truth"]
