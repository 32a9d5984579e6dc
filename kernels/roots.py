"""Which kernels compute an iteration."""

from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.roots.adjoints import Coupled, ProductForm, Recurrence


def by_kernels(iteration: Coupled | ProductForm, precision: str) -> Recurrence:
    """The same steps by Triton kernels, with float32 products in this precision."""
    if isinstance(iteration, ProductForm):
        raise NotImplementedError("inverse_sqrt: there is no Triton kernel for the product form")
    return CoupledKernels(iteration, precision)
