import pytest
import torch

from ndbench.cost.footprint import observed
from ndbench.cost.launches import beside_launches, kept_from_running
from ndbench.covariance import Patches
from ndbench.kernels import covariance
from ndbench.kernels.newton_schulz import CoupledKernels
from ndbench.roots.adjoints import Coupled
from ndbench.roots.coefficients import LIMITS

STEPS = Coupled((LIMITS[3],) * 3)
PATCHES = Patches.of(3, padding=1, block=2)


def held(function):
    return beside_launches(function).held


def empty(*shape):
    return torch.empty(shape, device="meta")


def test_launches_are_noted_and_nothing_runs():
    with kept_from_running() as launches:
        (D,) = CoupledKernels(STEPS, "ieee").run(empty(5, 20, 20))
    assert launches == [("steps_in_registers", (5,))]
    assert D.is_meta
    assert D.shape == (5, 20, 20)


def test_shapes_are_no_input_of_kernels_elsewhere():
    with pytest.raises(ValueError, match="got a tensor on meta"):
        CoupledKernels(STEPS, "ieee").run(empty(1, 20, 20))


def test_small_orders_hold_their_answer_alone():
    A = empty(5, 20, 20)
    assert held(lambda: CoupledKernels(STEPS, "ieee").run(A)) == A.nbytes


def test_what_a_large_order_holds_grows_with_the_square():
    # D and four buffers of padded order
    assert [
        round(held(lambda A=A: CoupledKernels(STEPS, "ieee").run(A)) / A.nbytes, 1)
        for A in (empty(1, n, n) for n in (576, 1152))
    ] == [5.0, 5.0]


@pytest.mark.parametrize("algorithm", covariance.ALGORITHMS)
def test_covariances_hold_no_patch_matrix(algorithm):
    x = empty(128, 64, 56, 56)
    patches = Patches.of(3, padding=1, block=16)
    outputs = 4 * (144 + 144**2)
    assert outputs <= held(lambda: covariance.ALGORITHMS[algorithm](x, patches, "ieee")) <= x.nbytes / 10 + 2 * outputs


def test_tables_are_made_before():
    x = empty(2, 4, 9, 8)
    with kept_from_running():
        first = observed(lambda: covariance.im2col(x, PATCHES, "ieee"))[1].held
    assert held(lambda: covariance.im2col(x, PATCHES, "ieee")) <= first
