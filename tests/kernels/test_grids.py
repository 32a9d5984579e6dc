"""Grids of shapes beyond 16 bits: CUDA allows 2^31 - 1 programs along the first dimension, 65535 along the others.

They are looked at and nothing runs: there are shapes here for which the interpreter would take hours.
"""

import pytest
import torch

from ndbench.covariance import Patches
from ndbench.kernels.covariance import im2col, lagged
from ndbench.kernels.covariance.adjoint import adjoint
from ndbench.kernels.denman_beavers import tiled as tiled_sweeps
from ndbench.kernels.newton_schulz import tiled
from ndbench.kernels.newton_schulz.schedule import steps_schedule, tangent_schedule
from tests.kernels.denman_beavers import comparison as denman_beavers
from tests.kernels.launches import kept_from_running
from tests.kernels.newton_schulz import comparison as newton_schulz

MANY = 70_000
"""More than 65535."""


@pytest.fixture
def grids(monkeypatch):
    """The grids of all launches."""
    return kept_from_running(monkeypatch)


def require_launchable(grids):
    assert grids
    for grid in grids:
        assert 1 <= grid[0] < 2**31
        assert all(1 <= programs <= 65535 for programs in grid[1:]), grid


def expanded(device, *shape):
    """Zeros that take no memory."""
    return torch.zeros((), device=device).expand(shape)


SHAPES = {
    "channels alone": ((1, MANY, 3, 2), Patches.of(1, block=1, pooled=False)),
    "channels alone, pooled": ((1, MANY, 3, 2), Patches.of((1, 2), block=1)),
    "interleaved": ((1, 2 * MANY, 2, 2), Patches.of(1, block=2, pooled=False, grouping="interleaved")),
    "images": ((40 * MANY, 1, 3, 2), Patches.of(2, padding=1)),
    "pixels": ((1, 2, 3000, 4000), Patches.of(3, padding=1, stride=(1, 2))),
    "columns": ((1, 512, 3, 4), Patches.of(3, padding=1)),
}
every_shape = pytest.mark.parametrize(("shape", "patches"), SHAPES.values(), ids=SHAPES)


@every_shape
@pytest.mark.parametrize("algorithm", [im2col, lagged])
def test_covariance(shape, patches, algorithm, grids, device):
    algorithm(expanded(device, *shape), patches, "ieee")
    require_launchable(grids)


@pytest.mark.parametrize("algorithm", [im2col, lagged])
def test_covariance_of_many_rows(algorithm, grids, device):
    # as many partial sums as there is room for
    algorithm(torch.zeros((), device=device, dtype=torch.float16).expand(2**20, 1, 128, 128), Patches.of(1), "ieee")
    require_launchable(grids)


@every_shape
def test_gradient_of_the_covariance(shape, patches, grids, device):
    groups = patches.groups(shape[1])
    lead = () if patches.pooled else (groups,)
    F = shape[1] // groups * patches.offsets
    mean, dcov = expanded(device, *lead, F), expanded(device, *lead, F, F)
    adjoint(expanded(device, *shape), mean, mean, dcov, patches, precision="ieee")
    require_launchable(grids)


@pytest.mark.parametrize("n", [1, 5, 20])
def test_many_small_matrices(n, grids, device):
    A = expanded(device, MANY, n, n)
    for kernels in (newton_schulz.kernels(), denman_beavers.kernels()):
        kernels.run(A)
        kernels.pull_back(A, (), A)
    require_launchable(grids)


@pytest.mark.parametrize("precision", ["ieee", "tf32x3"])
def test_many_matrices_on_tiles(precision, grids, device):
    A = expanded(device, MANY, 3, 3)
    schedules = (newton_schulz.THREE.coefficients, newton_schulz.ITERATIONS["minimax_quintic.T2"].coefficients)
    for coefficients in schedules:
        tiled.run(A, steps_schedule(coefficients), precision)
        tiled.pull_back(A, A, tangent_schedule(coefficients), precision)
    D, iterates, scales = tiled_sweeps.run(A, 1, 1, keep=True, precision=precision)
    tiled_sweeps.pull_back(D, iterates, scales, 1, precision)
    require_launchable(grids)


def test_a_grid_beyond_16_bits_is_noticed():
    with pytest.raises(AssertionError):
        require_launchable([(1, 65536)])
    with pytest.raises(AssertionError):
        require_launchable([(2**31, 1)])
    with pytest.raises(AssertionError):
        require_launchable([(0,)])
    require_launchable([(2 * MANY, 65535, 65535)])
