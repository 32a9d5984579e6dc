"""The public functions: what they accept, which algorithm they choose, what they promise."""

from ndbench.operations.covariance import patch_covariance
from ndbench.operations.deconvolution import deconvolve
from ndbench.operations.roots import inverse_sqrt, inverse_sqrt_to_tolerance

__all__ = ["deconvolve", "inverse_sqrt", "inverse_sqrt_to_tolerance", "patch_covariance"]
