"""The command that times."""

import json
import sys

import pytest
import torch

from ndbench.bench import command
from ndbench.bench.command import main
from ndbench.bench.registry import workloads

FEW = ["--workload", "newton_schulz-T5-n32", "--rounds", "7"]


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    path = tmp_path_factory.mktemp("run") / "new" / "times.json"
    assert main([*FEW, "--json", str(path)]) == 0
    return path


def test_a_workload_is_timed_and_recorded(stored):
    found = json.loads(stored.read_text())
    assert {row["workload"] for row in found["rows"]} == {"newton_schulz-T5-n32-b16"}
    assert found["environment"]["commit"]
    assert all(row["error"] <= row["allowed"] < 1e-1 for row in found["rows"])
    assert all(row["memory"] > 0 for row in found["rows"])


def test_it_is_shown_drawn_and_compared_with_the_stored_run(stored, tmp_path, capsys):
    picture = tmp_path / "new" / "picture.png"
    assert main([*FEW, "--compare", str(stored), "--plot", str(picture)]) == 0
    printed = capsys.readouterr().out
    assert "newton_schulz-T5-n32-b16" in printed
    assert "measured ceilings" in printed
    assert "bench 1/1, newton_schulz-T5-n32-b16" in printed
    assert "6 of 6 rows are in the stored run, of commit" in printed
    assert "time both versions in one job" in " ".join(printed.split())
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_workloads_that_would_begin_too_late_are_named(capsys):
    assert main([*FEW, "--seconds", "1e-9"]) == 1
    assert "not run, since 1e-09 s were over: newton_schulz-T5-n32-b16" in capsys.readouterr().out


def test_a_run_that_measures_nothing_leaves_no_file(tmp_path):
    files = ["--json", str(tmp_path / "times.json"), "--plot", str(tmp_path / "picture.png")]
    assert main([*FEW, "--seconds", "1e-9", *files]) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_contender_fails_the_run(monkeypatch, capsys):
    monkeypatch.setattr("ndbench.bench.accuracy.Standard.allowed", lambda *_: 1e-6)
    assert main(FEW) == 1
    assert "not timed: eigh, forward: wrong: error" in capsys.readouterr().out


def test_large_workloads_run_only_by_name():
    parsed = command.argparse.Namespace(workload=[])
    assert not any(w.large for w in command._chosen(workloads("cpu"), parsed))
    parsed.workload = ["layer-128x64"]
    assert [w.name for w in command._chosen(workloads("cpu"), parsed)] == [
        "layer-128x64x32x32-to-64",
        "layer-128x64x32x32-to-64-nhwc",
    ]


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_the_list_names_every_workload(device, capsys):
    assert main(["--list", "--device", device]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == [w.name for w in workloads(device)]
    assert ["large" in line for line in lines] == [w.large for w in workloads(device)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workload", "nothing"], "no workload matches; there are newton_schulz-T5-n32-b16"),
        (["--rounds", "6"], "--rounds must be at least 7, since fewer samples decide nothing; got 6"),
        (["--seconds", "0"], "--seconds must be a number of seconds above 0, such as 420; got 0"),
        (["--seconds", "-1"], "--seconds must be a number of seconds above 0, such as 420; got -1"),
        (["--seconds", "nan"], "--seconds must be a number of seconds above 0, such as 420; got nan"),
        (["--compare", "/nowhere/base.json"], "cannot compare with /nowhere/base.json: No such file"),
        (["--plot", "picture"], "--plot picture: the name must end in one of"),
        (["--json", "/dev/null/times.json"], "cannot write /dev/null/times.json: "),
    ],
)
def test_wrong_usage(options, message, capsys):
    assert main(options) == 2
    assert message in capsys.readouterr().err


def test_what_is_refused_leaves_no_file(tmp_path, capsys):
    new = tmp_path / "new" / "times.json"
    assert main(["--json", str(new), "--compare", str(tmp_path / "missing.json")]) == 2
    assert "cannot compare with" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_of_two_files_neither_is_left_if_one_cannot_be_written(tmp_path, capsys):
    assert main(["--json", str(tmp_path / "times.json"), "--plot", "/dev/null/picture.png"]) == 2
    assert "cannot write /dev/null/picture.png: File exists" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_another_device_is_refused_before_anything_runs(stored, tmp_path, capsys):
    found = json.loads(stored.read_text())
    found["environment"]["device"] = "NVIDIA H100"
    other = tmp_path / "other.json"
    other.write_text(json.dumps(found))
    assert main(["--compare", str(other)]) == 2
    assert "both must have the same device; base has 'NVIDIA H100'" in capsys.readouterr().err


def test_without_matplotlib_no_picture_is_promised(monkeypatch, tmp_path, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    assert main(["--plot", str(tmp_path / "picture.png")]) == 2
    assert "pictures need matplotlib; install ndbench[plot]" in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(capsys):
    assert main(["--device", "cuda"]) == 2
    assert "there is no CUDA device" in capsys.readouterr().err
