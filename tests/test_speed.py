"""The suite of times: what is judged first, what a record tells, and what a second run says of the first."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from ndbench.bench.registry import workload, workloads
from ndbench.environment import commit
from tests.speed import conftest, records, stopwatch
from tests.speed.cases import DIRECTIONS, Case, cases, kind

ROOT = Path(__file__).parents[1]
NAME = "newton_schulz-T5-n32-b16"


def case(function=None, direction="forward"):
    """The iteration by PyTorch, or something else in its place."""
    found = workload(NAME, "cpu")
    contender = found.contenders("cpu")["torch"]
    if function:
        contender = replace(contender, function=function(contender.function))
    return Case(found, "torch", contender, direction)


class Stopwatch:
    """In the place of pytest-benchmark's fixture."""

    enabled = True

    def __init__(self):
        self.extra_info, self.rounds = {}, 0

    def pedantic(self, call, setup, rounds, warmup_rounds):
        self.rounds = rounds


@pytest.fixture
def config():
    return configured()


def configured(**options):
    options |= {"benchmark_min_rounds": 5, "benchmark_max_time": 1e-6}
    return SimpleNamespace(stash=pytest.Stash(), getoption=lambda name, default=None: options.get(name, default))


class Doubled(torch.autograd.Function):
    """A right answer with twice its gradient."""

    @staticmethod
    def forward(ctx, y):
        return y.clone()

    @staticmethod
    def backward(ctx, g):
        return 2 * g


SABOTAGE = {
    "zeros": lambda right: lambda A: (0 * right(A)[0],),
    "not a number": lambda right: lambda A: (right(A)[0] / 0 * 0,),
    "scaled": lambda right: lambda A: (1.001 * right(A)[0],),
    "first matrix only": lambda right: lambda A: (right(A)[0][:1].expand_as(A),),
    "float16": lambda right: lambda A: (right(A)[0].half().float(),),
}


@pytest.mark.parametrize("name", SABOTAGE)
@pytest.mark.parametrize("direction", ["forward", "forward+backward"])
def test_a_wrong_answer_fails_and_is_not_timed(name, direction, config):
    watch = Stopwatch()
    with pytest.raises(pytest.fail.Exception, match="not timed"):
        stopwatch.timed(case(SABOTAGE[name], direction), "cpu", watch, config)
    assert watch.rounds == 0


def test_a_wrong_gradient_of_a_right_answer_is_not_timed(config):
    def doubled(right):
        return lambda A: (Doubled.apply(right(A)[0]),)

    stopwatch.timed(case(doubled, "forward"), "cpu", Stopwatch(), config)
    with pytest.raises(pytest.fail.Exception, match="not timed"):
        stopwatch.timed(case(doubled, "forward+backward"), "cpu", Stopwatch(), config)


def test_a_right_answer_is_timed(config):
    watch = Stopwatch()
    stopwatch.timed(case(), "cpu", watch, config)
    assert watch.rounds == 5
    assert 0 < watch.extra_info["error"] <= watch.extra_info["allowed"]
    assert watch.group == f"{NAME} forward"


def test_what_was_judged_in_another_process_is_only_timed():
    watch = Stopwatch()
    stopwatch.timed(case(SABOTAGE["zeros"]), "cpu", watch, configured(**{"--unjudged": True}))
    assert watch.rounds == 5
    assert "error" not in watch.extra_info


def test_quick_functions_have_a_hundred_samples_and_slow_ones_what_time_allows(config, monkeypatch):
    config = SimpleNamespace(getoption={"benchmark_min_rounds": 5, "benchmark_max_time": "2.0"}.__getitem__)
    for seconds, expected in ((1e-4, 100), (0.1, 20), (3.0, 5)):
        times = iter((0.0, seconds))
        monkeypatch.setattr(stopwatch.time, "perf_counter", lambda times=times: next(times))
        assert stopwatch.samples(lambda: None, config) == expected


def test_a_gpu_is_timed_between_events(monkeypatch):
    told = []

    class Event:
        def __init__(self, enable_timing):
            assert enable_timing

        def record(self):
            told.append(("record", self))

        def synchronize(self):
            told.append(("wait", self))

        def elapsed_time(self, later):
            assert told == [("record", self), ("record", later), ("wait", later)]
            return 20.0

    monkeypatch.setattr(torch.cuda, "Event", Event)
    start, end = stopwatch.Moment(), stopwatch.Moment()
    assert end - start == 0.02


def test_every_small_workload_is_timed_and_every_kind_is_known():
    for device in ("cpu", "cuda"):
        known = workloads(device)
        assert {kind(w) for w in known} == set(DIRECTIONS)
    timed = [c.id for name in DIRECTIONS for c in cases(name, "cpu")]
    assert len(set(timed)) == len(timed)
    assert {i.split("/")[0] for i in timed} == {w.name for w in workloads("cpu") if not w.large}


def test_a_record_tells_device_driver_precision_commit_and_accuracy():
    high = replace(case().contender, settings="high", precision="tf32")
    found = records.record(replace(case(), contender=high), "cpu")
    assert found["device"] == records.name_of("cpu")
    assert found["driver"] == records.now().get("driver_version", "none")
    assert (found["precision"], found["float32_matmul_precision"], found["cudnn_allow_tf32"]) == ("tf32", "high", True)
    assert found["commit"] == records.now()["commit"]
    assert json.loads(json.dumps(found)) == found


def test_what_changes_from_run_to_run_is_not_the_machine(monkeypatch):
    told = {"commit": "abc", "clocks.sm": "1980 MHz", "driver_version": "570", "device": "none", "cores": 2}
    monkeypatch.setattr(records, "now", lambda: told)
    assert records.machine("cpu") == {"driver_version": "570", "device": records.name_of("cpu"), "cores": 2}


def test_each_device_has_a_folder(monkeypatch):
    monkeypatch.setattr(records, "processor", lambda: "AMD EPYC(tm) 9V74")
    monkeypatch.setattr(records.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    assert [records.slug(device) for device in ("cpu", "cuda")] == ["cpu-amd-epyc-tm-9v74-2-cores", "cuda-nvidia-h200"]


def test_a_gpu_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(pytest.UsageError, match="there is no CUDA device; leave out --device cuda"):
        conftest.pytest_configure(SimpleNamespace(getoption=lambda *_: "cuda"))


def test_the_second_run_compares_with_the_first(tmp_path, monkeypatch):
    # pytest-benchmark would take the new processes for workers of pytest-xdist, and time nothing
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    command = [sys.executable, "-m", "pytest", "tests/speed", "--quiet", "-p", "no:cacheprovider", "--device", "cpu"]
    command += ["-k", f"test_root and {NAME} and torch and not backward", "--benchmark-enable", "--benchmark-autosave"]
    command += ["--benchmark-compare", f"--benchmark-storage={tmp_path}", "--benchmark-max-time=0.01"]
    runs = [subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False) for _ in range(2)]
    assert [run.returncode for run in runs] == [0, 0], runs[0].stdout + runs[0].stderr
    first, second = (run.stdout + run.stderr for run in runs)
    assert "Can't compare. No benchmark files in" in first
    assert "Comparing against benchmarks from" in second
    assert f"test_root[{NAME}/torch/forward] (NOW)" in second
    assert f"test_root[{NAME}/torch/forward] (0001_" in second
    assert "1 answers judged; the worst error is " in second
    saved = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob("*.json"))]
    assert len(saved) == 2
    (benchmark,) = saved[0]["benchmarks"]
    assert benchmark["extra_info"]["commit"] == commit()
    assert 0 < benchmark["extra_info"]["error"] <= benchmark["extra_info"]["allowed"]
    assert saved[0]["machine_info"] == saved[1]["machine_info"]
    assert saved[0]["machine_info"]["device"] == records.name_of("cpu")
    assert {"driver", "float32_matmul_precision", "cudnn_allow_tf32", "threads"} <= set(benchmark["extra_info"])
