"""Verification of the operations of network deconvolution against independent truth.

The folder lies at the top of the repository and is importable as ``ndbench.verify`` only.
"""

if __name__ != "ndbench.verify":
    raise ImportError(f"import this package as ndbench.verify; it was imported as {__name__!r}")

from ndbench.verify.runner import Report, verify
from ndbench.verify.verdict import Status, Verdict

__all__ = ["Report", "Status", "Verdict", "verify"]
