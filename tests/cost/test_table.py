import pytest

from ndbench.cost.ceilings import Ceilings
from ndbench.cost.geometry import Convolution, Layer, Whitening
from ndbench.cost.table import layer_sheet, rows_of

LAYER = Layer(Convolution.of((16, 8, 12, 12), 8, 3, padding=1), Whitening(block=4, sampling=1), "conv")
FIRST = Layer(Convolution.of((16, 8, 12, 12), 8, 3, padding=1, input_gradient=False), Whitening(block=4, sampling=1))


def sheet(layer, ceilings=None):
    return layer_sheet(layer, rows_of(layer), ceilings=ceilings)


def row(layer, algorithm):
    return next(row for row in rows_of(layer) if row.algorithm == algorithm)


def test_every_algorithm_has_a_row():
    found = [(row.operation, row.algorithm) for row in rows_of(LAYER)]
    assert len(set(found)) == len(found)
    assert {operation for operation, _ in found} == {"covariance", "root", "folding", "convolution", "layer"}
    assert [name for operation, name in found if operation == "covariance"] == [
        *("im2col", "buffered", "shifted", "lagged", "windows", "triton im2col", "triton lagged")
    ]
    assert ("root", "spectral, lyapunov") in found


def test_shares_of_the_convolution_and_of_the_law():
    # im2col: 2 M F^2 with M = 16 x 144 x 2 and F = 36; the convolution 2 x 16 x 144 x 8 x 72
    assert row(LAYER, "im2col").forward.flops == 2 * 4608 * 36**2
    cells = sheet(LAYER).rows[0]
    assert cells[3] == f"{(4608 * 36**2) / (2304 * 8 * 72):.0%}" == "450%"
    # of the law 2 N H W k^2 C B it is k^2 times as much
    assert cells[4] == "900%"


def test_estimates_are_marked():
    counts = {cells[1]: cells[7] for cells in sheet(LAYER).rows}
    assert counts["lagged"] == counts["windows"] == counts["newton_schulz, reverse"] == "="
    assert counts["spectral, eigenbasis"] == counts["scipy_sqrtm, autograd"] == "≈"


def test_a_first_layer_has_no_gradient_of_statistics():
    assert row(FIRST, "lagged").backward.flops == 0
    assert row(LAYER, "lagged").backward.flops > 0


def test_the_floor_is_the_longer_of_arithmetic_and_traffic():
    for rates in (Ceilings(1e30, {"ieee": 1e9, "tf32": 1e9}), Ceilings(1e9, {"ieee": 1e30, "tf32": 1e30})):
        conv = next(row for row in rows_of(LAYER) if row.operation == "convolution")
        amount = conv.both.flops if rates.bytes > 1e20 else conv.both.moved
        cells = sheet(LAYER, rates).rows[-2]
        assert float(cells[-1]) == pytest.approx(1e3 * amount / 1e9, rel=1e-2)


def test_kernels_multiply_padding_too():
    # blocks of 4 channels in tiles of 16, chunks of 16 rows
    assert row(LAYER, "triton lagged").forward.flops > 16 * row(LAYER, "lagged").forward.flops // 2
    assert row(LAYER, "triton newton_schulz").forward.exact
    assert not row(LAYER, "triton denman_beavers").forward.exact
    assert row(LAYER, "triton im2col").both.moved == row(LAYER, "im2col").both.moved


def test_footprints_are_shown_where_they_are_taken():
    rows = [row for row in rows_of(LAYER) if row.algorithm in ("buffered", "windows", "newton_schulz, reverse", "")]
    taken = [row.footprint() if row.footprint else None for row in rows]
    found = {cells[1] or cells[0]: cells[-3:] for cells in layer_sheet(LAYER, rows, taken).rows}
    assert found["windows"] == ["·", "·", "·"]
    # x, the weight and y once each way, and the gradients of the first two
    x, weight = 4 * 16 * 8 * 144, 4 * 8 * 72
    assert found["convolution"][0] == f"{(x + weight + x + x + weight + x + x + weight) / 1e6:.3g}"
    assert found["convolution"][1] == f"{x / 1e6:.3g}"
    (record,) = [row.record(sides=sides) for row, sides in zip(rows, taken, strict=True) if row.algorithm == "buffered"]
    assert record["forward"]["held"] == taken[0][0].held
    assert record["backward"]["moved"] == taken[0][1].moved


def test_a_first_layer_holds_nothing_for_the_gradient_of_statistics():
    (lagged,) = [row for row in rows_of(FIRST) if row.algorithm == "lagged"]
    assert lagged.footprint()[1] is None
    assert layer_sheet(FIRST, [lagged, rows_of(FIRST)[-2]], [lagged.footprint(), None]).rows[0][-1] == "·"
