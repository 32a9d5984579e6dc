"""Patch covariance: one algorithm a file.

:func:`im2col` is the definition. :func:`windows` computes the same with numpy and shares no code with the others.
:func:`shifted` needs no patch matrix, and :func:`lagged` none and no repeated product either: both are exact.
Every algorithm takes a real floating-point input and :class:`Patches`, and returns mean and covariance without eps.
"""

from ndbench.covariance.im2col import im2col
from ndbench.covariance.lagged import lagged
from ndbench.covariance.patches import Patches
from ndbench.covariance.shifted import shifted
from ndbench.covariance.windows import windows

__all__ = ["Patches", "im2col", "lagged", "shifted", "windows"]
