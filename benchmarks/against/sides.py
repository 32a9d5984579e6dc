"""The two sides: a checkout each, whose own tests/speed runs in processes of its own."""

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree

SUITE = Path("tests") / "speed"


class Unusable(Exception):
    """A side that measured nothing; the message is what its process printed last.

    Attributes:
        side: which.
        after: rounds that were measured before.
    """

    def __init__(self, side, printed):
        super().__init__(f"{side.name} {side.commit[:12]} measured nothing; its last words:\n{printed[-3000:]}")
        self.side, self.after = side, 0


@dataclass(frozen=True)
class Side:
    """A commit and where it is checked out."""

    name: str
    root: Path
    commit: str

    @property
    def has_suite(self):
        return (self.root / SUITE / "conftest.py").exists()


@dataclass(frozen=True)
class Run:
    """What one process measured: pytest-benchmark's record, and the tests that failed, with the first line of why.

    Where every answer is wrong, the record is empty.
    """

    record: dict
    wrong: dict = field(default_factory=dict)


def git(*arguments, root):
    return subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=True).stdout.strip()


def resolved(revision, root):
    """The hash of a commit, or of a branch that was only fetched; nothing if there is none of that name."""
    as_commit = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    # by its whole name, so that HEAD^ is no parent of the remote's HEAD
    as_branch = ("show-ref", "--verify", "--hash", f"refs/remotes/origin/{revision}")
    for command in (as_commit, as_branch):
        with contextlib.suppress(subprocess.CalledProcessError):
            return git(*command, root=root)
    return ""


def is_first(root):
    """Whether HEAD has no parent, and not only none that was fetched."""
    alone = len(git("rev-list", "--parents", "--max-count=1", "HEAD", root=root).split()) == 1
    return alone and git("rev-parse", "--is-shallow-repository", root=root) == "false"


@contextlib.contextmanager
def checked_out(commit, root):
    """The base in a worktree that is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="ndbench-base-") as folder:
        tree = Path(folder) / "base"
        git("worktree", "add", "--quiet", "--detach", str(tree), commit, root=root)
        try:
            yield Side("base", tree, commit)
        finally:
            git("worktree", "remove", "--force", str(tree), root=root)


def measure(side, tests, options):
    """Run tests of a side's suite once, in a process that imports that side's code."""
    with tempfile.TemporaryDirectory(prefix="ndbench-run-") as folder:
        record, results = Path(folder) / "record.json", Path(folder) / "results.xml"
        command = [sys.executable, "-m", "pytest", *tests, "--quiet", "--benchmark-enable", "--benchmark-only"]
        command += ["-p", "pytest_benchmark.plugin", "-p", "no:cacheprovider", f"--benchmark-storage={folder}"]
        command += [f"--benchmark-json={record}", f"--junitxml={results}", *options]
        variables = {**os.environ, "PYTHONPATH": str(side.root), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=side.root, env=variables, capture_output=True, text=True, check=False)
        if record.exists():
            run = Run(json.loads(record.read_text()), failures(results))
        elif results.exists() and (wrong := failures(results, "failure")):
            return Run({"machine_info": {}, "benchmarks": []}, wrong)
        else:
            raise Unusable(side, done.stdout + done.stderr)
    check_origin(side, run)
    return run


def failures(results, *kinds):
    """Tests of a JUnit file that failed: the first line of why, by what pytest calls them."""
    found = {}
    for case in ElementTree.parse(results).iter("testcase"):
        for result in (result for kind in kinds or ("failure", "error") for result in case.findall(kind)):
            node = f"{case.get('classname').replace('.', '/')}.py::{case.get('name')}"
            found[node] = result.get("message", "").splitlines()[0]
    return found


def known(before):
    """Options for a side that has run before: the same code gives the same answers, and right ones are timed."""
    if not before:
        return []
    return ["--unjudged", *(f"--deselect={node}" for node in before[0].wrong)]


def informed(run, first):
    """A run that judged nothing, with the accuracy that the first of this side found, and without what it did not."""
    found = {benchmark["fullname"]: benchmark["extra_info"] for benchmark in first.record["benchmarks"]}
    benchmarks = [
        {**benchmark, "extra_info": {**found[benchmark["fullname"]], **benchmark["extra_info"]}}
        for benchmark in run.record["benchmarks"]
        if benchmark["fullname"] in found
    ]
    return replace(run, record={**run.record, "benchmarks": benchmarks})


def check_origin(side, run):
    """An installed package or a stray path must not stand in for either side."""
    ran = {benchmark["extra_info"]["commit"].rstrip("+") for benchmark in run.record["benchmarks"]}
    if ran != {side.commit}:
        raise RuntimeError(f"{side.name} should have run the code of {side.commit}; it ran that of {', '.join(ran)}")
