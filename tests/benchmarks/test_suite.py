"""The asv suite: what it names is there, what it tracks is right, and what a commit lacks is skipped aloud."""

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import replace
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks.suite import (
    covariance,
    covariance_gradients,
    inverse_sqrt,
    kernel_costs,
    layers,
    measurement,
    networks,
    other_roots,
    resources,
    root_gradients,
)
from ndbench.bench import registry
from ndbench.verify.resources import cache
from ndbench.verify.resources.collection import all_variants
from ndbench.verify.resources.figures import Figures
from ndbench.verify.resources.targets import TARGETS, target_named
from tests.benchmarks.conftest import BENCHMARK, ROOT

SUBJECTS = (covariance, covariance_gradients, inverse_sqrt, layers, networks, other_roots, root_gradients)
CASE = ("cpu", "newton_schulz-T5-n32-b16", "bmm chain")
FIGURES = Figures(
    registers=40,
    stack=0,
    spill_loads=3,
    spill_stores=4,
    spills_in_loops=0,
    shared=1024,
    instructions=100,
    multiply_adds=0,
    matrix={},
    traps=0,
    asked={},
    lowered=0,
)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.__name__.rpartition(".")[2])
def test_every_workload_and_implementation_is_there(subject):
    for workload, implementation in product(*subject.CPU):
        assert implementation in registry.workload(workload, "cpu").contenders("cpu")
    # layers and networks have the same contenders everywhere, and to list them moves their weights to the device
    listed = "cpu" if subject in {layers, networks} and not torch.cuda.is_available() else "cuda"
    for workload, implementation in product(*subject.CUDA):
        assert implementation in registry.workload(workload, "cuda").contenders(listed)


def test_no_cpu_is_asked_for_tf32():
    assert not [name for subject in SUBJECTS for name in subject.CPU[1] if "tf32" in name]


def test_every_kernel_has_a_variant_and_every_target_is_one():
    known = {resources.general_name(variant) for variant in all_variants()}
    assert set(resources.VARIANTS) <= known
    kernels = [{name.partition("/")[0] for name in names} for names in (resources.VARIANTS, known)]
    assert kernels[0] == kernels[1]
    assert list(resources.TARGETS) == [target.name for target in TARGETS]


@pytest.fixture
def variant(monkeypatch, tmp_path):
    """The only variant, where nothing was compiled before."""
    monkeypatch.setenv("NDBENCH_CACHE", str(tmp_path))
    (found,) = [v for v in all_variants() if v.name == "covariance.partials"]
    monkeypatch.setattr("ndbench.verify.resources.collection.all_variants", lambda: [found])
    return found


def test_targets_that_are_not_compiled_for_are_tracked_where_they_are_known(variant, monkeypatch):
    compiled = []

    def survey(variants, targets):
        compiled.extend(target.name for target in targets)
        return []

    monkeypatch.setattr("ndbench.verify.resources.survey.survey", survey)
    cache.store(cache.key(variant, target_named("sm_80")), FIGURES)
    benchmark = resources.Resources()
    found = benchmark.setup_cache()
    assert compiled == list(resources.COMPILED)
    benchmark.setup(found, variant.name, "sm_80")
    assert (benchmark.track_registers(), benchmark.track_spills(), benchmark.track_shared_memory()) == (40, 7, 1024)
    for target in ("sm_100", "gfx950"):
        with pytest.raises(NotImplementedError, match="not compiled on this machine before; `nox -s aot` does"):
            benchmark.setup(found, variant.name, target)
    with pytest.raises(NotImplementedError, match="this commit has no such variant for this target"):
        benchmark.setup(found, variant.name, "sm_90")


def test_a_commit_without_known_compilations_has_the_others(variant, monkeypatch):
    monkeypatch.delattr("ndbench.verify.resources.cache.load")
    row = SimpleNamespace(variant=variant, target=target_named("sm_90"), figures=FIGURES)
    monkeypatch.setattr("ndbench.verify.resources.survey.survey", lambda variants, targets: [row])
    found = resources.Resources().setup_cache()
    assert found[variant.name, "sm_90"]["registers"] == 40
    with pytest.raises(NotImplementedError, match=r"lacks ndbench\.verify\.resources\.cache"):
        measurement.known(found[variant.name, "sm_80"])


def test_what_does_not_compile_fails(variant, monkeypatch):
    row = SimpleNamespace(variant=variant, target=target_named("sm_90"), figures=None, failures=["compiles: no"])
    monkeypatch.setattr("ndbench.verify.resources.survey.survey", lambda variants, targets: [row])
    with pytest.raises(RuntimeError, match="compiles: no"):
        measurement.known(resources.Resources().setup_cache()[variant.name, "sm_90"])


def costs_of(problem):
    benchmark = kernel_costs.KernelCosts()
    benchmark.setup({problem: measurement.attempt(kernel_costs.costs, problem)}, problem)
    return benchmark.track_flops(), benchmark.track_loaded(), benchmark.track_stored()


@pytest.mark.parametrize("problem", kernel_costs.PROBLEMS)
def test_every_kernel_has_products_and_bytes(problem):
    assert all(type(count) is int and count > 0 for count in costs_of(problem))


def test_costs_of_kernels_are_those_of_the_models():
    # T = 5 steps in registers: 3 T - 3 products of tiles of order 32, and 1024 matrices that are loaded in float32
    flops, loaded, stored = costs_of("newton_schulz forward n32-b1024")
    assert flops == 1024 * 12 * 2 * 32**3
    assert loaded > 1024 * 32**2 * 4
    assert stored == 1024 * 32**2 * 4
    # and T products beside the sweeps
    assert costs_of("denman_beavers forward n32-b1024")[0] == 1024 * 9 * 2 * 32**3


def test_costs_that_a_commit_lacks_are_skipped(monkeypatch):
    monkeypatch.delattr("ndbench.cost.kernel_traffic.lagged")
    with pytest.raises(NotImplementedError, match=r"lacks ndbench\.cost\.kernel_traffic"):
        costs_of("lagged")
    assert costs_of("im2col")


def test_the_suite_loads_nothing_that_a_commit_may_lack():
    code = "import suite.kernel_costs, suite.resources, suite.networks, sys; "
    code += "print({'torch', 'ndbench'} & set(sys.modules))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=ROOT / "benchmarks", capture_output=True, text=True, check=False)
    assert done.stdout == "set()\n", done.stderr


def test_asv_installs_what_everything_else_is_pinned_to():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line]
    pinned = dict(line.split("==") for line in lines)
    installed = json.loads((ROOT / "asv.conf.json").read_text())["matrix"]["req"]
    assert installed == {name: [pinned[name]] for name in installed}
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    assert set(installed) == {re.match(r"[\w-]+", line)[0] for line in needed}


def test_asv_finds_no_problem_in_it(asv):
    assert "No problems found" in asv("check", "--environment", f"existing:{sys.executable}")


def test_figures_are_counted_and_repeat_exactly():
    first, second = (found_of_case() for _ in range(2))
    assert first[CASE] == second[CASE]
    # 12 products of 16 matrices
    assert first[CASE]["flops"] == 12 * 16 * 2 * 32**3
    assert 1e-8 < first[CASE]["error"] < 1e-6
    # Y, Z, S and one product, 64 KiB each, at least
    assert first[CASE]["peak memory"] >= 4 * 2**16
    assert first[CASE]["bytes"] >= 12 * 3 * 2**16


@pytest.fixture
def sabotaged(monkeypatch):
    """The case with another function."""

    def sabotage(function):
        workload = registry.workload(CASE[1], "cpu")
        right = workload.contenders("cpu")[CASE[2]]
        wrong = replace(right, function=lambda A: tuple(function(y) for y in right.function(A)))
        found = replace(workload, contenders=lambda device: {CASE[2]: wrong})
        monkeypatch.setattr(registry, "workload", lambda name, device: found)
        forget()
        return measurement.error(*CASE, "forward")

    yield sabotage
    forget()


def forget():
    measurement.call.cache_clear()
    measurement.standard.cache_clear()


def found_of_case():
    return measurement.figures("forward", cpu=((CASE[1],), (CASE[2],)))


def set_up(kind, found):
    """A benchmark of asv's, as it is before it runs."""
    benchmark = kind()
    benchmark.setup(found, *CASE[1:])
    return benchmark


@pytest.mark.parametrize(
    ("wrong", "least", "most"),
    [
        (lambda D: D * (1 + 1e-4), 0.9e-4, 1.1e-4),
        (lambda D: D * torch.nan, 1e16, 1e16),
        (lambda D: D * torch.inf, 1e16, 1e16),
        (torch.zeros_like, 1, 1),
    ],
)
def test_a_wrong_answer_shows_in_the_error(sabotaged, wrong, least, most):
    assert least <= sabotaged(wrong) <= most


def test_what_raises_fails_its_own_benchmarks_alone(sabotaged):
    def broken(D):
        raise ZeroDivisionError("broken")

    with pytest.raises(ZeroDivisionError):
        sabotaged(broken)
    found = found_of_case()
    with pytest.raises(RuntimeError, match="broken"):
        set_up(inverse_sqrt.Figures, found).track_flops()
    with pytest.raises(ZeroDivisionError, match="broken"):
        set_up(inverse_sqrt.Timing, found)


@pytest.mark.parametrize("wrong", [lambda D: 2 * D, lambda D: D * torch.nan])
def test_a_wrong_implementation_is_not_timed_and_its_error_is_tracked(wrong, sabotaged):
    error = sabotaged(wrong)
    found = found_of_case()
    with pytest.raises(NotImplementedError, match=r"wrong: the error is 1.0e\+\d\d, and its precision allows .*e-0"):
        set_up(inverse_sqrt.Timing, found)
    assert set_up(inverse_sqrt.Figures, found).track_error() == error


@pytest.mark.parametrize(
    ("lacking", "figures"),
    [
        ("ndbench.cost.counting.count", ["flops"]),
        ("ndbench.cost.counting.peak_memory", ["peak_memory"]),
        ("ndbench.cost.traffic.traffic", ["bytes"]),
        ("ndbench.bench.accuracy.Standard", ["error"]),
        ("ndbench.bench.accuracy.Standard.allowed", []),
    ],
)
def test_what_a_commit_lacks_leaves_the_rest(lacking, figures, monkeypatch, capsys):
    forget()
    monkeypatch.delattr(lacking)
    found = found_of_case()
    set_up(inverse_sqrt.Timing, found).time_call()
    benchmark = set_up(inverse_sqrt.Figures, found)
    values = {name: getattr(benchmark, f"track_{name}")() for name in ("error", "flops", "bytes", "peak_memory")}
    assert [name for name, value in values.items() if not value > 0] == figures
    skipped = [line for line in capsys.readouterr().out.splitlines() if line.startswith("asv: skipped: NotImplemented")]
    assert len(skipped) == len(figures)
    assert all(f"environment, lacks {lacking.rpartition('.')[0]}: " in line for line in skipped)


def test_what_cannot_be_judged_is_not_timed():
    with pytest.raises(RuntimeError, match="out of memory"):
        measurement.require_right({"error": RuntimeError("out of memory"), "allowed": 1.0})


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        (("cpu", "no-such-workload", "torch"), "no workload on cpu is called no-such-workload"),
        (("cpu", CASE[1], "magic"), "lacks magic of newton_schulz-T5-n32-b16"),
        pytest.param(
            ("cuda", "newton_schulz-T5-n32-b1024", "torch"),
            "there is no CUDA device",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device"),
        ),
    ],
)
def test_what_is_not_there_is_skipped_with_the_reason(case, reason):
    found = measurement.figures("forward", **{case[0]: ((case[1],), (case[2],))})
    assert set(map(type, found[case].values())) == {NotImplementedError}
    with pytest.raises(NotImplementedError, match=reason):
        measurement.known(found[case]["error"])
    with pytest.raises(NotImplementedError, match=reason):
        measurement.call(*case, "forward")


# an editable install would find the modules of a package that lies elsewhere
EMPTY_PACKAGE = """
import sys


class Nothing:
    def find_spec(self, name, path=None, target=None):
        if name.startswith("ndbench."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Nothing())
"""


def test_a_commit_without_workloads_is_skipped_aloud(asv, tmp_path, monkeypatch):
    package = tmp_path / "ndbench"
    package.mkdir()
    Path(package, "__init__.py").write_text(EMPTY_PACKAGE)
    monkeypatch.setitem(asv.variables, "ASV_PYTHONPATH", str(tmp_path))
    printed = asv.measure("HEAD~2", rf"{BENCHMARK}|track_spills\(.*partials', 'sm_90'")
    assert printed.count("n/a") >= 2
    assert "this commit, or its environment, lacks ndbench.cost.counting" in printed
    assert "this commit, or its environment, lacks ndbench.verify.resources.collection" in printed
