"""The command that times."""

import json

import pytest
import torch

from ndbench.bench.command import main, workloads
from ndbench.bench.roots import Iteration, _compiled


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


def test_workloads_with_targets_come_first():
    names = [w.name for w in workloads("cuda")]
    assert names[:5] == [
        "newton_schulz-T5-n32-b1024",
        "newton_schulz-T5-n64-b1024",
        "newton_schulz-T5-n576-b1",
        "denman_beavers-T9-n32-b1024",
        "covariance-256x64x56x56-k3-s1-block64",
    ]


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


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_workloads_have_names_and_work(device):
    found = workloads(device)
    assert len({w.name for w in found}) == len(found)
    assert all(w.flops > 0 and w.bytes > 0 for w in found)


def test_contenders_of_a_gpu_are_named_without_one():
    for workload in workloads("cuda"):
        names = set(workload.contenders("cuda"))
        assert any("triton ieee" in name for name in names)
        assert any("tf32" in name for name in names)


def test_every_workload_is_compiled_for_its_own_sizes(monkeypatch):
    sizes = []

    def backend(graph, inputs):
        sizes.append([tuple(given.shape) for given in inputs])
        return graph.forward

    compile_ = torch.compile
    monkeypatch.setattr(torch, "compile", lambda function, **how: compile_(function, backend=backend, **how))
    for n in (3, 4, 5):
        iteration = Iteration("newton_schulz", n, 2)
        _compiled(iteration._plain())(iteration.matrices("cpu"))
    assert sizes == [[(2, n, n)] for n in (3, 4, 5)]


def test_the_contenders_of_a_cpu_agree():
    for workload in workloads("cpu"):
        x = workload.input("cpu")[:1]
        for contender in workload.contenders("cpu").values():
            for found, true in zip(contender.function(x), (contender.truth or workload.truth)(x.double()), strict=True):
                assert torch.linalg.norm(found.double() - true) <= 1e-3 * torch.linalg.norm(true)
