from functools import partial

import pytest
import torch

from ndbench.cost import memory
from ndbench.cost.counting import peak_memory
from ndbench.covariance import Patches
from ndbench.operations import inverse_sqrt
from ndbench.roots.adjoints.choice import ADJOINTS
from tests.cost.geometries import Geometry, geometries
from tests.cost.test_covariance import RUNS

LARGE = [
    Geometry((8, 16, 24, 24), Patches.of(3, padding=1, block=8)),
    Geometry((4, 32, 16, 16), Patches.of(3, padding=1)),
    Geometry((4, 32, 16, 16), Patches.of(3, padding=1, block=16, pooled=False)),
    Geometry((4, 32, 16, 16), Patches.of(3, padding=1, stride=3)),
    Geometry((4, 16, 16, 16), Patches.of(3, padding=1, block=4, grouping="interleaved")),
]
TIGHT = {"im2col": 1.01, "buffered": 1.03, "shifted": 4.0, "lagged": 3.0}
"""How many times the bound is held at most, where buffers are large."""

# what numpy allocates is in no record
WAYS = [(m, adjoint) for m, adjoints in ADJOINTS.items() for adjoint in adjoints[1:] if not m.startswith("scipy")]


@pytest.fixture(autouse=True)
def as_it_is_used(nan_filled_empty_tensors):
    """Deterministic algorithms, which the tests switch on, hold more."""
    torch.use_deterministic_algorithms(False)


def held(name, geometry):
    return peak_memory(RUNS[name](geometry))


@pytest.mark.parametrize("name", memory.FORWARD)
def test_at_least_so_much_is_held(name):
    for geometry in geometries(30):
        assert memory.FORWARD[name](geometry.shape, geometry.patches) <= held(name, geometry)


@pytest.mark.parametrize("geometry", LARGE, ids=str)
@pytest.mark.parametrize("name", memory.FORWARD)
def test_and_not_much_more(name, geometry):
    least = memory.FORWARD[name](geometry.shape, geometry.patches)
    assert least <= held(name, geometry) <= TIGHT[name] * least


@pytest.mark.parametrize("name", ["im2col", "buffered"])
def test_a_patch_matrix_more_or_less_is_noticed(name, monkeypatch):
    geometry = LARGE[0]
    right = memory.FORWARD[name](geometry.shape, geometry.patches)
    for factor in (0.9, 1.1):
        monkeypatch.setitem(memory.FORWARD, name, partial(lambda wrong, *_: wrong, int(factor * right)))
        with pytest.raises(AssertionError):
            test_and_not_much_more(name, geometry)


@pytest.mark.parametrize("steps", [1, 2, 5])
@pytest.mark.parametrize(("method", "adjoint"), WAYS)
def test_roots_hold_so_many_matrices(method, adjoint, steps):
    n, batch = 48, 3
    A = torch.eye(n).repeat(batch, 1, 1).requires_grad_()
    function = partial(inverse_sqrt, A, method=method, adjoint=adjoint, steps=steps, check=False)
    least = memory.root(method, adjoint, steps, n, batch=batch)
    assert least <= peak_memory(function) <= least + 4.2 * 4 * batch * n**2


def test_the_patch_matrix_is_held_twice():
    # 8 images of 24 x 24 patches of 16 channels and 9 offsets in float32
    geometry = LARGE[0]
    assert memory.im2col(geometry.shape, geometry.patches) == 2 * 4 * (8 * 24 * 24 * 16 * 9)
