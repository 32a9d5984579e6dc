"""A repository whose suite takes as long as it is told to."""

import subprocess

import pytest

CONFTEST = """
import subprocess, pytest

@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_generate_machine_info(config):
    return {"device": "a device", "driver_version": "1.2", "packages": {"torch": "2"}}

def pytest_addoption(parser):
    parser.addoption("--unjudged", action="store_true")

@pytest.fixture
def about(request):
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()
    return {"commit": commit} if request.config.getoption("--unjudged") else {"commit": commit, "error": 0.5}
"""
SUITE = """
import time, pytest

@pytest.mark.parametrize("case", ["a", "b"])
def test_root(case, benchmark, about):
    benchmark.extra_info.update(about)
    benchmark.pedantic(time.sleep, ({"a": A, "b": 0.002}[case],), rounds=4)
"""
WRONG_SUITE = """
import pytest

@pytest.mark.parametrize("case", ["a", "b"])
def test_root(case, benchmark):
    pytest.fail("the error is 1")
"""


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository without a suite, and a function that commits one in which the test "a" takes so many seconds."""
    # pytest-benchmark would take the new processes for workers of pytest-xdist, and time nothing
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    root = tmp_path / "repository"
    (root / "tests" / "speed").mkdir(parents=True)

    def git(*arguments):
        who = ["-c", "user.name=n", "-c", "user.email=e"]
        subprocess.run(["git", *who, *arguments], cwd=root, check=True, capture_output=True)

    def commit(seconds):
        (root / "tests" / "speed" / "conftest.py").write_text(CONFTEST)
        (root / "tests" / "speed" / "test_workloads.py").write_text(SUITE.replace("A,", f"{seconds},"))
        git("add", "--all")
        git("commit", "--quiet", "--allow-empty", "--message", f"{seconds} s")

    git("init", "--quiet")
    git("commit", "--quiet", "--allow-empty", "--message", "nothing")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "page.md"))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    return root, commit


def spoil(root, suite):
    """Commit a suite in the place of the one that is there."""
    (root / "tests" / "speed" / "test_workloads.py").write_text(suite)
    git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "spoilt"], cwd=root, check=True)
