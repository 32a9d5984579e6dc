"""Reference implementations, verification and benchmarks for the operations of network deconvolution.

Network deconvolution (Ye et al., ICLR 2020) whitens the input patches of every layer with D = Cov^(-1/2):

    mean, cov = ndbench.patch_covariance(x, kernel_size)
    D = ndbench.inverse_sqrt(cov)
    weight, bias = ndbench.deconvolve(weight, bias, mean, D)
"""

from ndbench.operations import (
    deconvolve,
    deconvolved_conv2d,
    deconvolved_linear,
    inverse_sqrt,
    inverse_sqrt_to_tolerance,
    patch_covariance,
)

__all__ = [
    "deconvolve",
    "deconvolved_conv2d",
    "deconvolved_linear",
    "inverse_sqrt",
    "inverse_sqrt_to_tolerance",
    "patch_covariance",
]
