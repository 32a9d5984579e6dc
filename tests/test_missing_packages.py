"""The commands run where NumPy, mpmath and Triton are installed beside PyTorch, and nothing else is."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.verify.resources import planted

MISSING = ("rich", "scipy", "flint", "hypothesis", "skimage", "sklearn", "matplotlib")
BLOCKED = f"""
import sys


class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in {MISSING} else self.finder.find_spec(name, path, target)


sys.meta_path[:] = map(Without, sys.meta_path)
"""


@pytest.fixture
def python(tmp_path):
    """Run Python, and the processes that it starts, without these packages."""
    folder = tmp_path / "blocked"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKED)
    root = Path(__file__).parents[1]

    def run(*arguments, **variables):
        paths = os.pathsep.join([str(folder), str(root)])
        environment = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1", **variables}
        return subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )

    return run


@pytest.mark.parametrize("package", MISSING)
def test_the_packages_are_missing(python, package):
    assert f"No module named '{package}'" in python("-c", f"import {package}").stderr


def test_verify_judges_and_prints_plain_tables(python, tmp_path):
    path = tmp_path / "verify.json"
    options = ["--check", "mean", "--implementation", "im2col", "--jobs", "2", "--json", str(path)]
    found = python("-m", "ndbench.verify", *options)
    assert (found.returncode, found.stderr) == (0, "")
    counts = json.loads(path.read_text())["counts"]
    assert (counts["passed"] > 50, counts["failed"]) == (True, 0)
    lines = found.stdout.splitlines()
    assert f"verify {sum(counts.values())}/{sum(counts.values())}, 0 failed" in lines
    assert "| implementation | mean |" in lines
    assert any(line.startswith("| im2col | 0.") for line in lines)
    assert lines[-1].startswith(f"{sum(counts.values())} verdicts in ")


def test_what_needs_scipy_is_not_run_with_that_reason(python, tmp_path):
    path = tmp_path / "verify.json"
    checks = ["--check", "forward", "--check", "gradient-lyapunov", "--check", "gradient-complex-step"]
    problems = ["--problem", "one_large-n16-k1e2-b2-float32-s0", "--problem", "geometric-n6-k1e1-b2-float64-s0-Gsym0"]
    roots = ["--implementation", "spectral", "--implementation", "scipy_power"]
    found = python("-m", "ndbench.verify", *checks, *problems, *roots, "--json", str(path))
    assert (found.returncode, found.stderr) == (0, "")
    verdicts = json.loads(path.read_text())["verdicts"]
    assert {(v["implementation"], v["check"]): v["reason"] for v in verdicts} == {
        **{("scipy_power", check): "scipy_power needs scipy, which is not installed" for check in checks[1::2]},
        ("spectral", "forward"): "",
        ("spectral", "gradient-lyapunov"): (
            "Schur's square root and the Lyapunov equation need SciPy, which is not installed"
        ),
        ("spectral", "gradient-complex-step"): "",
    }


def test_bench_lists_its_workloads(python):
    found = python("-m", "ndbench.bench", "--list", "--device", "cuda")
    assert (found.returncode, found.stderr) == (0, "")
    assert "newton_schulz-T5-n32-b1024" in found.stdout.splitlines()


def test_bench_times_a_workload_and_compares(python, tmp_path):
    path = tmp_path / "bench.json"
    options = ["-m", "ndbench.bench", "--workload", "newton_schulz-T5-n32", "--rounds", "7"]
    assert python(*options, "--json", str(path)).returncode == 0
    found = python(*options, "--compare", str(path))
    assert (found.returncode, found.stderr) == (0, "")
    assert len(json.loads(path.read_text())["rows"]) == 6
    lines = found.stdout.splitlines()
    assert any(line.startswith("| torch | forward | ") for line in lines)
    assert "against the stored run" in lines


def test_cost_prints_its_table(python):
    program = "import sys; from ndbench.cli import main; sys.exit(main())"
    options = ["--layer", "2x4x5x5", "--out", "6", "--kernel", "3", "--footprints"]
    found = python("-c", program, "cost", *options)
    assert (found.returncode, found.stderr) == (0, "")
    assert "| operation | algorithm | forward Gflop |" in found.stdout


@planted.NEEDS_COMPILER
def test_resources_of_one_kernel(python, tmp_path):
    options = ["--variant", "newton_schulz.small/cubic/16/ieee", "--target", "sm_90", "--processes", "1"]
    found = python("-m", "ndbench.verify.resources", *options, NDBENCH_CACHE=str(tmp_path / "cache"))
    assert (found.returncode, found.stderr) == (0, "")
    assert "| newton_schulz.small/cubic/16/ieee | sm_90 | " in found.stdout
    assert found.stdout.splitlines()[-1].startswith("1 compiled kernels, 0 failed")
