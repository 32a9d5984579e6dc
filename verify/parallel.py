"""Running the cases of a selection in several processes."""

import math
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context

import torch

from ndbench.environment import environment
from ndbench.verify.runner import Case, Report, Selection, cases
from ndbench.verify.verdict import Verdict

PARTS = 12
"""Parts for each process: none has long to wait for the last one."""

Judged = list[tuple[int, Verdict]]


def run_in_processes(
    selection: Selection,
    jobs: int,
    threads: int,
    progress: Callable[[Case, Verdict], None],
    seconds: float = math.inf,
) -> Report:
    """Run what a selection stands for in so many processes, with the verdicts in the order of one.

    Args:
        selection: of cases of the catalog.
        jobs: processes.
        threads: of PyTorch, and of NumPy and SciPy, in each.
        progress: is told of each case.
        seconds: within which a case must begin.
    """
    # all processes of a machine have the same monotonic clock
    started, deadline = time.perf_counter(), time.monotonic() + seconds
    chosen = cases(selection)
    verdicts: dict[int, Verdict] = {}
    # a forked process would share the state of PyTorch's threads
    spawned = ProcessPoolExecutor(jobs, get_context("spawn"), torch.set_num_threads, (threads,))
    with threads_of_numpy(threads), spawned as pool:
        parts = jobs * PARTS
        futures = [pool.submit(_judge, selection, part, parts, deadline) for part in range(parts)]
        for future in as_completed(futures):
            for index, verdict in future.result():
                verdicts[index] = verdict
                progress(chosen[index], verdict)
    ordered = tuple(verdicts[index] for index in range(len(chosen)))
    return Report(ordered, environment(), time.perf_counter() - started)


@contextmanager
def threads_of_numpy(threads: int) -> Iterator[None]:
    """What processes that start in this block give NumPy and SciPy, which take every core when they are loaded.

    On a machine with other work, threads that wait for each other were seen to take five times as long.
    """
    names = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    before = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, str(threads)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _judge(selection: Selection, part: int, parts: int, deadline: float) -> Judged:
    """The verdicts of one part, with the places of their cases."""
    return [(index, case.run(deadline)) for index, case in _part(cases(selection), part, parts)]


def _part(chosen: list[Case], part: int, parts: int) -> Iterator[tuple[int, Case]]:
    """Yield every so manieth problem with all its cases: the truth about a problem is computed once."""
    problems = {problem: i for i, problem in enumerate(dict.fromkeys(case.problem for case in chosen))}
    yield from ((i, case) for i, case in enumerate(chosen) if problems[case.problem] % parts == part)
