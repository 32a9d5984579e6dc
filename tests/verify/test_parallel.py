"""Verdicts of several processes are those of one."""

import os

import pytest
import torch

from ndbench.verify import command
from ndbench.verify.parallel import _part, run_in_processes, threads_of_numpy
from ndbench.verify.runner import Selection, cases, run

SELECTION = Selection(("inverse-sqrt",), ("forward", "symmetry"), ("spectral", "newton_schulz.T5"))


def test_two_processes_give_the_verdicts_of_one():
    alone, told = run(cases(SELECTION)), []
    together = run_in_processes(SELECTION, 2, torch.get_num_threads(), lambda *told_of: told.append(told_of))
    assert [(v.check, v.implementation, v.problem, v.status) for v in together.verdicts] == [
        (v.check, v.implementation, v.problem, v.status) for v in alone.verdicts
    ]
    assert len(told) == len(alone.verdicts)
    assert all(case.problem.name == verdict.problem for case, verdict in told)


def test_processes_have_as_many_threads_as_they_are_given(monkeypatch):
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "5")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with threads_of_numpy(1):
        assert os.environ["OPENBLAS_NUM_THREADS"] == os.environ["MKL_NUM_THREADS"] == "1"
    assert os.environ["OPENBLAS_NUM_THREADS"] == "5"
    assert "MKL_NUM_THREADS" not in os.environ


def test_processes_begin_nothing_when_the_time_is_over():
    told = []
    report = run_in_processes(SELECTION, 2, torch.get_num_threads(), lambda *told_of: told.append(told_of), seconds=0)
    assert {verdict.reason for verdict in report.verdicts} == {"time over"}
    assert len(told) == len(report.verdicts) == len(cases(SELECTION))


def test_parts_are_whole_problems_and_miss_none():
    chosen = cases(SELECTION)
    parts = [list(_part(chosen, part, 5)) for part in range(5)]
    assert sorted(index for part in parts for index, _ in part) == list(range(len(chosen)))
    problems = [{case.problem for _, case in part} for part in parts]
    assert sum(map(len, problems)) == len(set().union(*problems))


def test_the_command_takes_jobs(capsys):
    options = ["--check", "forward", "--implementation", "spectral", "--problem", "geometric-n12-k1e3-b2-float32-s0"]
    assert command.main([*options, "--jobs", "2"]) == 0
    assert "1 verdicts in" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("device", "count", "cores", "jobs"),
    [("cuda", 60000, 16, 8), ("cuda", 60000, 4, 2), ("cuda", 60000, 1, 1), ("cuda", 1, 16, 1), ("cpu", 60000, 16, 1)],
)
def test_a_gpu_is_shared_by_processes(device, count, cores, jobs, monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert command.default_jobs(device, count) == jobs
