import pytest

from ndbench.covariance import Patches
from ndbench.covariance.choice import fastest, im2col_flops, lagged_work
from ndbench.covariance.pieces import axes, plan


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_lagged_work_is_that_of_the_plan(stride, grouping):
    # 9 offsets and 4 blocks have no common divisor, so all lags meet, and the classes hold two channels
    patches = Patches.of(3, padding=1, stride=stride, block=2, grouping=grouping)
    pieces = [piece for lag in plan(*axes(patches, 11, 12)) for piece in lag.pieces]
    pixels = sum(piece.pixels for piece in pieces)
    assert lagged_work((5, 8, 11, 12), patches) == (2 * 5 * 8 * 2 * pixels, len(pieces))


def test_lags_without_partners_cost_nothing():
    # 9 offsets and 3 blocks: only lags divisible by 3 meet, and one class holds all channels
    patches = Patches.of(3, block=1, grouping="interleaved")
    lags = [lag for lag in plan(*axes(patches, 5, 5)) if (lag.rows * 3 + lag.columns) % 3 == 0]
    pieces = [piece for lag in lags for piece in lag.pieces]
    assert lagged_work((1, 3, 5, 5), patches) == (2 * 9 * sum(piece.pixels for piece in pieces), len(pieces))


def test_im2col_flops():
    # 4 images of 10 x 10 patches in 2 blocks of order 9 * 8
    assert im2col_flops((4, 16, 10, 10), Patches.of(3, padding=1, block=8)) == 2 * 400 * 2 * 72**2


@pytest.mark.parametrize(
    ("shape", "patches", "measured"),
    [
        ((16, 64, 32, 32), Patches.of(3, padding=1), "lagged"),
        ((16, 64, 32, 32), Patches.of(3, padding=1, block=16), "lagged"),
        ((8, 64, 32, 32), Patches.of(5, padding=2, block=16), "lagged"),
        ((64, 3, 32, 32), Patches.of(7, padding=3), "lagged"),
        ((16, 64, 32, 32), Patches.of(3, padding=1, stride=3), "im2col"),
        ((64, 3, 32, 32), Patches.of(5, padding=2, stride=3), "im2col"),
        ((16, 512, 4, 4), Patches.of(3, padding=1, block=64), "im2col"),
        ((16, 64, 16, 16), Patches.of(1), "im2col"),
    ],
)
def test_the_choice_is_what_was_measured_to_be_fastest(shape, patches, measured):
    assert fastest(shape, patches) == measured
