import pytest

from ndbench.covariance import Patches
from ndbench.covariance.pieces import axes, plan
from ndbench.covariance.work import LaggedWork, Share, im2col_flops


@pytest.mark.parametrize("grouping", ["channel", "interleaved"])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_lagged_work_is_that_of_the_plan(stride, grouping):
    # 9 offsets and 4 blocks have no common divisor, so all lags meet, and the classes hold two channels
    patches = Patches.of(3, padding=1, stride=stride, block=2, grouping=grouping)
    pieces = [piece for lag in plan(*axes(patches, 11, 12)) for piece in lag.pieces]
    pixels = sum(piece.pixels for piece in pieces)
    work = LaggedWork.of((5, 8, 11, 12), patches)
    assert (work.flops, work.pieces) == (2 * 5 * 8 * 2 * pixels, len(pieces))


def test_lags_without_partners_cost_nothing():
    # 9 offsets and 3 blocks: only lags divisible by 3 meet, and one class holds all channels
    patches = Patches.of(3, block=1, grouping="interleaved")
    lags = [lag for lag in plan(*axes(patches, 5, 5)) if (lag.rows * 3 + lag.columns) % 3 == 0]
    pieces = [piece for lag in lags for piece in lag.pieces]
    work = LaggedWork.of((1, 3, 5, 5), patches)
    assert (work.flops, work.pieces) == (2 * 9 * sum(piece.pixels for piece in pieces), len(pieces))


@pytest.mark.parametrize("k", range(1, 10))
def test_every_lag_has_one_interior_piece_at_full_sampling(k):
    work = LaggedWork.of((2, 4, 40, 32), Patches.of(k, padding=k // 2))
    lags = ((2 * k - 1) ** 2 + 1) // 2
    assert work.interior.pieces == lags
    # the interior of a lag (a, b) is as much smaller than the image as its offsets are many
    assert lags * (40 - 2 * k) * (32 - 2 * k) <= work.interior.pixels <= lags * 40 * 32
    # with a padding of k - 1 every window is all of its lag
    assert (work.border.pieces == 0) == (k <= 2)


def test_interior_and_border_of_one_row():
    # three offsets in a row of 7 pixels, padded by one. Lag 0: windows 0-5, 0-6 and 1-6; lag 1: 0-5 twice; lag 2: 0-4
    work = LaggedWork.of((1, 1, 1, 7), Patches.of((1, 3), padding=(0, 1)))
    assert work.interior == Share(3, 5 + 6 + 5)
    assert work.border == Share(2, 2)


def test_im2col_flops():
    # 4 images of 10 x 10 patches in 2 blocks of order 9 * 8
    assert im2col_flops((4, 16, 10, 10), Patches.of(3, padding=1, block=8)) == 2 * 400 * 2 * 72**2
