import numpy as np
import pytest

from ndbench.verify.oracles import OracleUnavailable
from ndbench.verify.oracles.covariance import (
    double,
    exact,
    extended,
    group_columns,
    patch_columns,
    patch_matrices,
    truth,
)

# patches (0, 4), (4, 4), (4, 4) and (4, 0): means 3, variances (9 + 1 + 1 + 1) / 4, products -3, 1, 1, -3
PLATEAU = np.array([[[[0.0, 4.0, 4.0, 4.0, 0.0]]]])
ROWS = np.array([[0.0, 4.0], [4.0, 4.0], [4.0, 4.0], [4.0, 0.0]])
PLATEAU_COV = [[3.0, -1.0], [-1.0, 3.0]]
ORACLES = [exact, extended, double]
WIDE = np.finfo(np.longdouble).eps < np.finfo(np.float64).eps


@pytest.mark.parametrize("oracle", ORACLES)
def test_the_covariance_of_a_plateau_by_hand(oracle):
    found = oracle(ROWS)
    assert found.mean.tolist() == [3, 3]
    assert found.cov.tolist() == PLATEAU_COV


@pytest.mark.parametrize("oracle", ORACLES)
def test_eps_is_added_to_the_diagonal(oracle):
    assert oracle(ROWS, 0.5).cov.tolist() == [[3.5, -1.0], [-1.0, 3.5]]


def test_the_columns_of_a_row_of_pixels():
    assert np.stack(patch_columns(PLATEAU, (1, 2)), axis=1).tolist() == ROWS.tolist()


def test_columns_of_a_padded_strided_dilated_image():
    x = np.arange(1.0, 7).reshape(1, 1, 2, 3)
    # padded by one row: 000 / 123 / 456 / 000; rows 0 and 2 are outputs, their pixels two columns apart
    columns = patch_columns(x, (2, 2), stride=(2, 1), padding=(1, 0), dilation=(1, 2))
    assert [c.tolist() for c in columns] == [[0, 4], [0, 6], [1, 0], [3, 0]]


def test_columns_are_ordered_by_channel_then_row_then_column():
    x = np.arange(8.0).reshape(1, 2, 2, 2)
    assert [float(c[0]) for c in patch_columns(x, 2)] == list(range(8))


def test_groups_by_hand():
    assert group_columns(8, 2, "channel") == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert group_columns(8, 2, "interleaved") == [[0, 2, 4, 6], [1, 3, 5, 7]]


def test_interleaved_groups_of_eight_channels_hold_every_channel():
    """C = 8, block 4, k = 3: the published code mixes channels and offsets in a checkerboard."""
    for columns in group_columns(72, 2, "interleaved"):
        assert {j // 9 for j in columns} == set(range(8))


def test_pooled_groups_lie_below_one_another():
    x = np.arange(4.0).reshape(1, 2, 1, 2)
    assert patch_matrices(x, 1, block=1)[0].tolist() == [[0.0], [1.0], [2.0], [3.0]]
    assert [m.tolist() for m in patch_matrices(x, 1, block=1, pooled=False)] == [[[0.0], [1.0]], [[2.0], [3.0]]]


def test_quotients_are_correctly_rounded():
    rows = np.array([[0.0], [0.0], [1.0]])
    assert exact(rows).mean[0] == 1 / 3
    assert exact(rows).cov[0, 0] == 2 / 9
    # 2/9 + 1e-3 rounded once differs from the sum of rounded numbers in the last bit for some eps
    assert abs(exact(rows, 1e-3).cov[0, 0] - (2 / 9 + 1e-3)) <= 2.0**-54


def test_a_large_mean_costs_the_exact_oracle_nothing():
    rows = np.random.default_rng(0).integers(-8, 9, (60, 3)).astype(np.float64)
    assert (exact(rows + 1e6).cov == exact(rows).cov).all()


@pytest.mark.parametrize("oracle", [extended, double])
@pytest.mark.parametrize(("M", "F"), [(1, 2), (63, 4), (64, 4), (65, 4), (1000, 5)])
def test_two_passes_keep_their_promise_against_the_exact_oracle(oracle, M, F):
    rows = np.random.default_rng(M).integers(0, 256, (M, F)).astype(np.float64)
    true, found = exact(rows), oracle(rows)
    Z = abs(rows - rows.mean(0))
    assert (abs(found.cov - true.cov) <= found.error * (Z.T @ Z / M) + 2.0**-53 * abs(true.cov)).all()
    assert abs(found.mean - true.mean).max() < 1e-12


@pytest.mark.skipif(not WIDE, reason="longdouble is float64 here")
def test_float64_keeps_its_promise_against_longdouble():
    rows = np.random.default_rng(1).standard_normal((500, 6)) + 100
    wide, found = extended(rows), double(rows)
    Z = abs(rows - rows.mean(0))
    assert (abs(found.cov - wide.cov) <= found.error * (Z.T @ Z / 500)).all()
    assert extended(rows).error < found.error / 1000


def test_the_exact_oracle_refuses_fractions_and_overflow():
    with pytest.raises(OracleUnavailable, match="not all values are integers"):
        exact(np.array([[0.5]]))
    with pytest.raises(OracleUnavailable, match="could pass"):
        exact(np.array([[2.0**27]]))


def test_truth_takes_the_strongest_oracle():
    fractions = ROWS + 0.25
    assert truth(ROWS, "float64").source == "exact integers"
    assert truth(fractions, "float32").source == "two passes in float64"
    if WIDE:
        assert truth(fractions, "float64").source == "two passes in longdouble"


def test_without_a_wide_longdouble_float64_has_no_truth(monkeypatch):
    monkeypatch.setattr(np, "longdouble", np.float64)
    with pytest.raises(OracleUnavailable, match="longdouble is float64"):
        truth(ROWS + 0.25, "float64")
