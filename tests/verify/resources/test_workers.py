from dataclasses import replace

from ndbench.verify.resources.compilation import Job
from ndbench.verify.resources.targets import target_named
from ndbench.verify.resources.workers import Worker, run
from tests.verify.resources import planted

pytestmark = planted.NEEDS_COMPILER

SM_90 = target_named("sm_90")


def test_a_lost_process_is_the_error_of_its_job_alone():
    right = Job.of(planted.RIGHT, SM_90)
    lost = replace(right, module="tests.verify.resources.planted_abort")
    heard = []
    first, second, third = run(
        [right, lost, right], processes=1, done=lambda place, outcome: heard.append((place, outcome))
    )
    assert first.figures == third.figures
    assert first.figures.registers > 0
    assert second.figures is None
    assert "exit code -6" in second.error
    assert "LLVM ERROR: Cannot select" in second.error
    assert heard == [(0, first), (1, second), (2, third)]


def test_processes_compile_even_where_this_one_would_interpret(monkeypatch):
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    (outcome,) = run([Job.of(planted.RIGHT, SM_90)], processes=1, done=lambda place, outcome: None)
    assert outcome.error == ""


def test_a_job_that_takes_too_long_is_given_up():
    worker = Worker(limit=0.0)
    outcome = worker.run(Job.of(planted.RIGHT, SM_90))
    worker.stop()
    assert outcome.figures is None
    assert "exit code -9; a job may take 0 s" in outcome.error
