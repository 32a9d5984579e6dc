"""The command that times."""

import json

import pytest
import torch

from ndbench.bench.command import main


def test_a_workload_is_timed_and_recorded(tmp_path, capsys):
    path = tmp_path / "new" / "times.json"
    assert main(["--workload", "n32", "--rounds", "5", "--json", str(path)]) == 0
    printed = capsys.readouterr().out
    assert "newton_schulz-T5-n32-b16" in printed
    assert "measured ceilings" in printed
    found = json.loads(path.read_text())
    assert {row["workload"] for row in found["rows"]} == {"newton_schulz-T5-n32-b16"}
    assert found["environment"]["commit"]
    assert all(row["error"] < 1e-4 for row in found["rows"])


def test_workloads_that_would_begin_too_late_are_named(capsys):
    assert main(["--workload", "n32", "--rounds", "5", "--seconds", "0"]) == 1
    assert "not run, since 0 s were over: newton_schulz-T5-n32-b16" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workload", "nothing"], "no workload matches; there are newton_schulz-T5-n32-b16"),
        (["--rounds", "4"], "--rounds must be at least 5; got 4"),
    ],
)
def test_wrong_usage(options, message, capsys):
    assert main(options) == 2
    assert message in capsys.readouterr().err


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu(capsys):
    assert main(["--device", "cuda"]) == 2
    assert "there is no CUDA device" in capsys.readouterr().err
