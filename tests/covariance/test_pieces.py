from itertools import product

import pytest

from ndbench.covariance import Patches
from ndbench.covariance.assembly import indicators
from ndbench.covariance.pieces import Axis, axes, half_lags, plan

AXES = [
    Axis(length, kernel, stride, padding, dilation)
    for length, kernel, stride, padding, dilation in product((1, 4, 9), (1, 2, 3, 5), (1, 2, 3), (0, 1, 4), (1, 2))
    if length + 2 * padding > dilation * (kernel - 1)
]


def positions(axis, i, other):
    """The positions of offset i at the outputs where both offsets are inside, counted out."""
    found = []
    start = -axis.padding
    while start + axis.dilation * (axis.kernel - 1) < axis.length + axis.padding:
        r, partner = start + axis.dilation * i, start + axis.dilation * other
        if 0 <= r < axis.length and 0 <= partner < axis.length:
            found.append(r)
        start += axis.stride
    return found


@pytest.mark.parametrize("axis", AXES, ids=str)
def test_windows_and_segments(axis):
    for i, other in product(range(axis.kernel), repeat=2):
        expected = positions(axis, i, other)
        assert list(axis.window(i, other)) == expected
        assert indicators(axis)[i, other].nonzero().flatten().tolist() == expected
        segments = [s.positions for s in axis.segments(other - i) if i in s.offsets]
        # disjoint, and together the window
        assert sorted(r for segment in segments for r in segment) == expected


@pytest.mark.parametrize(
    ("kernel", "stride", "pieces", "products"),
    [(3, 1, 29, 12.1), (5, 1, 157, 35.6), (7, 1, 505, 68.8), (3, 2, 45, 8.0), (3, 3, 45, 4.8)],
)
def test_plan_of_same_padding_on_32_pixels(kernel, stride, pieces, products):
    found = plan(*axes(Patches.of(kernel, stride=stride, padding=kernel // 2), 32, 32))
    assert sum(len(lag.pieces) for lag in found) == pieces
    pixels = sum(piece.pixels for lag in found for piece in lag.pieces)
    assert round(pixels / 32**2, 1) == products


@pytest.mark.parametrize(("kernel", "lags"), [(3, 13), (5, 41), (7, 85)])
def test_half_of_the_lags(kernel, lags):
    rows, columns = axes(Patches.of(kernel), 9, 9)
    found = list(half_lags(rows, columns))
    assert len(found) == len(set(found)) == lags
    assert not any((-r, -c) in found for r, c in found if (r, c) != (0, 0))


def test_a_plan_covers_every_pair_of_offsets_once():
    patches = Patches.of((2, 3))
    pairs = [
        (i * 3 + j, (i + lag.rows) * 3 + j + lag.columns) for lag in plan(*axes(patches, 5, 6)) for i, j in lag.offsets
    ]
    assert sorted(pairs) == [(t, u) for t in range(6) for u in range(t, 6)]
