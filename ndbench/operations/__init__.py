"""The public functions: what they accept, which algorithm they choose, what they promise."""

from ndbench.operations.covariance import patch_covariance
from ndbench.operations.deconvolution import deconvolve
from ndbench.operations.layer import deconvolved_conv2d, deconvolved_linear
from ndbench.operations.roots import inverse_sqrt, inverse_sqrt_to_tolerance

__all__ = [
    "deconvolve",
    "deconvolved_conv2d",
    "deconvolved_linear",
    "inverse_sqrt",
    "inverse_sqrt_to_tolerance",
    "patch_covariance",
]
