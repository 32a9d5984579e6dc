"""A stored run, and a new one against it."""

import json

import pytest

from ndbench.bench.run import record
from ndbench.bench.stored import Stored, Unreadable
from ndbench.bench.tables import reasons
from ndbench.cost.ceilings import Ceilings
from ndbench.environment import environment
from ndbench.timing import Incomparable, Samples
from tests.bench.synthetic_rows import WRONG, row, times

RATES = Ceilings(bytes=1e9, flops={"ieee": 1e9, "tf32": 1e9})


def stored(tmp_path, *rows, **environment):
    path = tmp_path / "base.json"
    found = record(rows, RATES)
    found["environment"] |= environment
    path.write_text(json.dumps(found))
    return Stored.read(path)


@pytest.mark.parametrize("factor", [1.5, 1.0, 0.5])
def test_rows_of_both_runs_are_compared(tmp_path, factor):
    base = stored(tmp_path, row(), row("gone"), WRONG)
    (change,) = base.changes([row(factor=factor), row("new"), WRONG])
    assert change.row.contender == "torch"
    assert change.comparison.ratio == pytest.approx(factor)
    assert change.base.seconds == row().seconds


def test_rounds_of_two_runs_are_never_paired(tmp_path):
    (change,) = stored(tmp_path, row()).changes([row()])
    assert not change.comparison.paired


@pytest.mark.parametrize("lowest", [0.0, -1e-6])
def test_samples_that_are_not_above_zero_on_either_side_are_not_compared(lowest, tmp_path):
    below = row(samples=Samples((lowest, *[1e-6] * 9), captured=True, rounds="shared"))
    for base, head in ((below, row()), (row(), below), (below, below)):
        (change,) = stored(tmp_path, base).changes([head])
        assert change.comparison is None
        assert change.base.seconds == base.seconds


@pytest.mark.parametrize(
    ("key", "ours", "theirs"),
    [("precision", "ieee", "tf32"), ("float32_matmul_precision", "highest", "high"), ("cudnn_allow_tf32", False, True)],
)
def test_rows_of_another_precision_are_not_compared_and_the_others_are(key, ours, theirs, tmp_path):
    base = stored(tmp_path, row(samples=times(**{key: ours})), row("other"))
    change, other = base.changes([row(samples=times(**{key: theirs})), row("other")])
    assert change.comparison is None
    assert change.refusal.startswith(f"compare: both must have the same {key}; base has {ours!r}, head {theirs!r}")
    (reason,) = reasons([change, other])
    assert reason == f"squares, torch, forward: {change.refusal}"
    assert other.comparison.ratio == pytest.approx(1)


def test_settings_of_the_process_are_not_those_of_a_row(tmp_path):
    base = stored(tmp_path, row(), float32_matmul_precision="high", cudnn_allow_tf32=None)
    base.require_comparable(environment(), "cpu")
    (change,) = base.changes([row(samples=times(float32_matmul_precision="highest", cudnn_allow_tf32=False))])
    assert change.comparison.ratio == pytest.approx(1)


def test_the_same_place_is_comparable(tmp_path):
    stored(tmp_path, row()).require_comparable(environment(), "cpu")


@pytest.mark.parametrize(
    ("other", "device", "message"),
    [
        ({"device": "NVIDIA H100"}, "cpu", "the same device; base has 'NVIDIA H100'"),
        ({"processor": "abacus"}, "cpu", "the same processor; base has 'abacus'"),
        ({"threads": 99}, "cpu", "the same threads; base has 99"),
        ({}, "cuda", "the same timed_on; base has 'cpu', head 'cuda'"),
    ],
)
def test_other_devices_are_refused(tmp_path, other, device, message):
    with pytest.raises(Incomparable, match=message):
        stored(tmp_path, row(), **other).require_comparable(environment(), device)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"rows": [{}], "environment": {}}', '{"rows": []}', "\x00"])
def test_other_files_are_refused(tmp_path, text):
    path = tmp_path / "other.json"
    path.write_text(text)
    with pytest.raises(Unreadable, match="no file that ndbench bench --json wrote"):
        Stored.read(path)


def test_missing_files_are_refused(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        Stored.read(tmp_path / "none.json")
    with pytest.raises(Unreadable, match="directory"):
        Stored.read(tmp_path)
