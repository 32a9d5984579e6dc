"""Calls whose kernels do not run: their grids and allocations can be looked at for any shape, on any device."""

import torch
from triton.runtime.interpreter import InterpretedFunction
from triton.runtime.jit import JITFunction

from ndbench.kernels.covariance import MODULES
from ndbench.kernels.denman_beavers import inverse_product, sweep, sweep_adjoint, tile_product
from ndbench.kernels.newton_schulz import (
    scratch,
    scratch_adjoint,
    small,
    small_adjoint,
    tiled_answers,
    tiled_products,
    tiled_scaling,
)

NEWTON_SCHULZ = (small, small_adjoint, scratch, scratch_adjoint, tiled_answers, tiled_products, tiled_scaling)
DENMAN_BEAVERS = (sweep, sweep_adjoint, inverse_product, tile_product)


class Launches:
    """A kernel that keeps its grids and runs nothing."""

    def __init__(self, grids):
        self.grids = grids

    def __getitem__(self, grid):
        self.grids.append(grid)
        return lambda *arguments, **options: None


def kept_from_running(monkeypatch):
    """Put a `Launches` in the place of every kernel; returns the grids of all launches to come."""
    # what the kernels should write is left uninitialized
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", False)
    found = []
    for module in (*MODULES, *NEWTON_SCHULZ, *DENMAN_BEAVERS):
        for name, kernel in list(vars(module).items()):
            if isinstance(kernel, InterpretedFunction | JITFunction):
                monkeypatch.setattr(module, name, Launches(found))
    return found
