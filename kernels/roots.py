"""Which kernels compute an iteration."""

from ndbench.kernels.denman_beavers import ProductFormKernels
from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.roots.adjoints import Coupled, ProductForm, Recurrence


def by_kernels(iteration: Coupled | ProductForm, precision: str, *, recorded: bool) -> Recurrence:
    """The same steps by Triton kernels, with float32 products in this precision.

    Args:
        iteration: the steps.
        precision: "ieee", "tf32x3" or "tf32".
        recorded: whether a gradient will be asked for; what is kept for it would be lost otherwise.
    """
    if isinstance(iteration, ProductForm):
        return ProductFormKernels(iteration, precision, keep=recorded)
    return CoupledKernels(iteration, precision)
