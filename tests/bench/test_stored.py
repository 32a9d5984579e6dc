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


@pytest.mark.parametrize(("factor", "verdict"), [(1.5, "slower"), (1.0, "same"), (0.5, "faster")])
def test_rows_of_both_runs_are_compared(tmp_path, factor, verdict):
    base = stored(tmp_path, row(), row("gone"), WRONG)
    (change,) = base.changes([row(factor=factor), row("new"), WRONG])
    assert (change.row.contender, change.comparison.verdict) == ("torch", verdict)
    assert change.comparison.ratio == pytest.approx(factor)
    assert change.base.seconds == row().seconds


def test_rounds_of_two_runs_are_never_paired(tmp_path):
    (change,) = stored(tmp_path, row()).changes([row()])
    assert not change.comparison.paired


def test_the_noise_of_either_run_is_the_floor(tmp_path):
    base = stored(tmp_path, row(noise=0.7))
    (change,) = base.changes([row(factor=1.5, noise=0.1)])
    assert change.comparison.floor == 0.7
    assert change.comparison.verdict == "undecided"
    (change,) = stored(tmp_path, row(noise=0.1)).changes([row(factor=1.5, noise=0.7)])
    assert change.comparison.floor == 0.7


@pytest.mark.parametrize("lowest", [0.0, -1e-6])
def test_samples_that_are_not_above_zero_on_either_side_have_no_verdict(lowest, tmp_path):
    below = row(samples=Samples((lowest, *[1e-6] * 9), captured=True, rounds="shared"))
    for base, head in ((below, row()), (row(), below), (below, below)):
        (change,) = stored(tmp_path, base).changes([head])
        assert change.comparison is None
        assert change.base.seconds == base.seconds


@pytest.mark.parametrize(
    ("key", "ours", "theirs"),
    [("precision", "ieee", "tf32"), ("float32_matmul_precision", "highest", "high"), ("cudnn_allow_tf32", False, True)],
)
def test_rows_of_another_precision_have_no_verdict_and_the_others_have(key, ours, theirs, tmp_path):
    base = stored(tmp_path, row(samples=times(**{key: ours})), row("other"))
    change, other = base.changes([row(samples=times(**{key: theirs})), row("other")])
    assert change.comparison is None
    assert change.refusal.startswith(f"compare: both must have the same {key}; base has {ours!r}, head {theirs!r}")
    (reason,) = reasons([change, other])
    assert reason == f"squares, torch, forward: {change.refusal}"
    assert other.comparison.verdict == "same"


def test_settings_of_the_process_are_not_those_of_a_row(tmp_path):
    base = stored(tmp_path, row(), float32_matmul_precision="high", cudnn_allow_tf32=None)
    base.require_comparable(environment(), "cpu")
    (change,) = base.changes([row(samples=times(float32_matmul_precision="highest", cudnn_allow_tf32=False))])
    assert change.comparison.verdict == "same"


def test_noise_that_is_infinite_survives(tmp_path):
    (change,) = stored(tmp_path, row(noise=float("inf"))).changes([row(factor=1.5)])
    assert change.comparison.verdict == "undecided"


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
