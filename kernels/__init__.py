"""Triton GPU kernels for the operations of network deconvolution.

The folder lies at the top of the repository and is importable as ``ndbench.kernels`` only.
"""

if __name__ != "ndbench.kernels":
    raise ImportError(f"import this package as ndbench.kernels; it was imported as {__name__!r}")
