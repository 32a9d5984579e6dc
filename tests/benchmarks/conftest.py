"""asv, run for real: the suite of this checkout on a repository of three commits, and the site of its results."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARK = "networks.Figures.track_flops"


class Asv:
    """asv with a configuration, a machine file and results of its own, all in one folder."""

    def __init__(self, folder, repository):
        self.folder = folder
        self.html = folder / "html"
        settings = json.loads((ROOT / "asv.conf.json").read_text())
        places = {"repo": str(repository), "benchmark_dir": str(ROOT / settings["benchmark_dir"])}
        places |= {f"{name}_dir": str(folder / name) for name in ("env", "results", "html")}
        (folder / "asv.conf.json").write_text(json.dumps(settings | places))
        # asv keeps PYTHONPATH from benchmarks unless it is told otherwise
        self.variables = {**os.environ, "HOME": str(folder), "ASV_PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}

    def __call__(self, *arguments):
        command = [sys.executable, "-m", "asv", *arguments, "--config", "asv.conf.json"]
        done = subprocess.run(command, cwd=self.folder, env=self.variables, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def measure(self, commit, benchmark):
        """Benchmark the checkout as if it were that commit."""
        here = ("--environment", f"existing:{sys.executable}", "--set-commit-hash", commit)
        return self("run", "--quick", "--show-stderr", "--bench", benchmark, *here)


@pytest.fixture(scope="session")
def repository(tmp_path_factory):
    """Three commits of one file."""
    folder = tmp_path_factory.mktemp("repository")
    git = ["git", "-C", str(folder), "-c", "user.name=nobody", "-c", "user.email=nobody@localhost"]
    subprocess.run([*git, "init", "--quiet"], check=True)
    for day in (1, 2, 3):
        (folder / "day").write_text(str(day))
        subprocess.run([*git, "add", "day"], check=True)
        date = f"2026-01-0{day}T00:00:00Z"
        dates = {**os.environ, "GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        subprocess.run([*git, "commit", "--quiet", "--message", f"day {day}"], check=True, env=dates)
    return folder


@pytest.fixture(scope="session")
def asv(tmp_path_factory, repository):
    found = Asv(tmp_path_factory.mktemp("asv"), repository)
    found("machine", "--yes")
    return found


@pytest.fixture(scope="session")
def site(asv):
    """The folder of the site with the results of two commits, and its libraries beside it."""
    require("npm")
    for commit in ("HEAD~1", "HEAD"):
        asv.measure(commit, BENCHMARK)
    asv("publish")
    subprocess.run([sys.executable, "-m", "benchmarks.site", str(asv.html)], check=True, cwd=ROOT)
    return asv.html


def require(*programs):
    """Skip without a program that the site needs; where CI runs, which installs them, fail."""
    missing = [program for program in programs if not shutil.which(program)]
    if missing and os.environ.get("CI"):
        pytest.fail(f"{', '.join(missing)} not found, which .ci/run installs where it is root on Debian")
    if missing:
        pytest.skip(f"{', '.join(missing)} not found: apt-get install chromium chromium-driver npm")
