import pytest
import torch

from ndbench.cost import kernel_footprints, kernel_traffic
from ndbench.covariance import Patches

SHAPE, PATCHES = (4, 8, 12, 10), Patches.of(3, padding=1, block=4)


@pytest.mark.parametrize("algorithm", kernel_footprints.MOVED)
def test_covariances(algorithm):
    forward, backward = kernel_footprints.covariance(algorithm, SHAPE, PATCHES)
    launches = kernel_footprints.MOVED[algorithm](torch.empty(SHAPE, device="meta"), PATCHES)
    assert forward.moved >= sum(launch.loaded + launch.stored for launch in launches)
    # mean and covariance; the gradient of the input
    assert forward.held >= 4 * (36 + 36**2)
    assert backward.held >= 4 * 4 * 8 * 120
    assert kernel_footprints.covariance(algorithm, SHAPE, PATCHES, backward=False) == (forward, None)


def test_small_orders_read_a_matrix_and_write_its_root():
    forward, backward = kernel_footprints.root("newton_schulz", 5, 20, batch=3)
    # the matrix and its root, each with its mirror image at most, and a few coefficients
    assert 2 <= forward.moved / (3 * 4 * 20**2) < 4.1
    assert forward.held == 3 * 4 * 20**2
    assert backward.moved > forward.moved


def test_denman_beavers_keeps_its_iterates_for_a_gradient():
    recorded, _ = kernel_footprints.root("denman_beavers", 4, 20)
    alone, none = kernel_footprints.root("denman_beavers", 4, 20, backward=False)
    assert none is None
    assert recorded.held - alone.held >= 4 * 4 * 20**2
    assert recorded.moved > alone.moved


def test_steps_are_counted():
    five, six = (kernel_footprints.root("minimax_cubic", steps, 200)[0] for steps in (5, 6))
    seven, _ = kernel_footprints.root("minimax_cubic", 7, 200)
    assert seven.moved - six.moved == six.moved - five.moved > 0
    assert seven.held == six.held == five.held


def test_launches_are_named():
    names = [launch.kernel for launch in kernel_traffic.im2col(torch.empty(SHAPE, device="meta"), PATCHES)]
    assert "multiply_columns" in names
