"""Processes that compile.

A compiler may end the process it runs in (LLVM aborts on what it cannot select), so each job runs in a process that may
be lost: what it last wrote becomes the job's error, and the next job gets a new process. They never interpret.
"""

import multiprocessing
import os
import re
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ndbench.verify.resources.compilation import Job, figures
from ndbench.verify.resources.figures import Figures

LONGEST_COMPILATION = 180.0
"""Seconds; sound kernels take 0.3 to 5."""
LONGEST_MESSAGE = 800
"""Characters of an error; of longer ones, the end: it names the reason."""
_TELLING = re.compile("rror|ERROR|Assertion|abort")


@dataclass(frozen=True)
class Outcome:
    """What became of a job: figures, or the error that there are none."""

    figures: Figures | None
    error: str = ""
    seconds: float = 0.0


def run(jobs: Sequence[Job], processes: int, done: Callable[[int, Outcome], None]) -> list[Outcome]:
    """The outcomes of the jobs in their order; `done` hears of each, with its place, as it ends."""
    workers = threading.local()
    started: list[Worker] = []

    def outcome(job: Job) -> Outcome:
        if not hasattr(workers, "own"):
            workers.own = Worker()
            started.append(workers.own)
        result: Outcome = workers.own.run(job)
        return result

    with _never_interpreting(), ThreadPoolExecutor(processes) as threads:
        futures = {threads.submit(outcome, job): k for k, job in enumerate(jobs)}
        for future in as_completed(futures):
            done(futures[future], future.result())
    for worker in started:
        worker.stop()
    return [future.result() for future in futures]


class Worker:
    """One process, started when first needed and again after it was lost.

    Args:
        limit: seconds after which a job is given up and its process killed.
    """

    def __init__(self, limit: float = LONGEST_COMPILATION) -> None:
        self.limit = limit
        self.process: multiprocessing.process.BaseProcess | None = None
        self.log = tempfile.NamedTemporaryFile(suffix=".log", delete=False)  # noqa: SIM115  # outlives this function

    def run(self, job: Job) -> Outcome:
        """Have the process compile; if it is lost, say how it ended."""
        self.process = self.process or self._start()
        start = time.perf_counter()
        try:
            self.connection.send(job)
            if not self.connection.poll(self.limit):
                self.process.kill()  # the pipe then ends
            result: Outcome = self.connection.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError):
            return Outcome(None, self._last_words(), time.perf_counter() - start)
        return result

    def _start(self) -> "multiprocessing.process.BaseProcess":
        context = multiprocessing.get_context("spawn")
        self.connection, other = context.Pipe()
        process = context.Process(target=_serve, args=(other, self.log.name), daemon=True)
        process.start()
        other.close()
        return process

    def _last_words(self) -> str:
        """How the process ended and what it wrote."""
        process, self.process = self.process, None
        if process is None:
            raise RuntimeError("Worker: there is no process")
        process.join()
        limit = f"; a job may take {self.limit:.0f} s" if process.exitcode == -signal.SIGKILL else ""
        return f"the compiler's process ended with exit code {process.exitcode}{limit}: {_written(self.log.name)}"

    def stop(self) -> None:
        """End the process and remove its log."""
        if self.process is not None:
            self.connection.close()
            self.process.join()
        self.log.close()
        os.unlink(self.log.name)


def _serve(connection: Connection, log: str) -> None:
    """Compile what arrives until the other side closes; what compilers print goes to the log."""
    with open(log, "a") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    while True:
        try:
            job: Job = connection.recv()
        except EOFError:
            return
        connection.send(_outcome(job, log))


def _outcome(job: Job, log: str) -> Outcome:
    """The figures, or what the compiler raised and printed."""
    os.truncate(log, 0)
    start = time.perf_counter()
    try:
        found, error = figures(job), ""
    except Exception as raised:  # whatever a compiler raises is the result
        found, error = None, f"{type(raised).__name__}: {raised}"[-LONGEST_MESSAGE:] + _written(log)
    return Outcome(found, error, time.perf_counter() - start)


def _written(log: str) -> str:
    """What was printed about errors: MLIR prints the whole program along."""
    lines = Path(log).read_text(errors="replace").splitlines()
    telling = "\n".join(line for line in lines if _TELLING.search(line))
    return f"\n{telling[:LONGEST_MESSAGE]}" if telling else ""


@contextmanager
def _never_interpreting() -> Iterator[None]:
    """Processes started inside compile: Triton decides by the environment as it loads."""
    before = os.environ.pop("TRITON_INTERPRET", None)
    try:
        yield
    finally:
        if before is not None:
            os.environ["TRITON_INTERPRET"] = before
