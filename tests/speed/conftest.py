"""pytest-benchmark's settings: where it computes, where runs are kept, and what every record tells.

`nox -s speed` times; where benchmarks are disabled, as in `nox -s tests`, every contender runs once and is judged.
"""

import warnings

import pytest
import torch

from tests.speed.cases import cases
from tests.speed.records import machine, slug
from tests.speed.stopwatch import JUDGED

STORAGE = "file://./.benchmarks"
"""pytest-benchmark's own default."""


def pytest_addoption(parser):
    parser.addoption("--device", choices=("cpu", "cuda"), help="where tests/speed computes; a GPU if there is one")
    parser.addoption(
        "--unjudged", action="store_true", help="time only: the same code was judged in another process of this job"
    )


def device_of(config):
    # the option is unknown where this folder is one of many that are collected
    return config.getoption("--device", None) or ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """Before pytest-benchmark reads its options: one storage for each device, and the clock of the device."""
    device = device_of(config)
    if device == "cuda" and not torch.cuda.is_available():
        raise pytest.UsageError("tests/speed: there is no CUDA device; leave out --device cuda")
    if not config.pluginmanager.hasplugin("benchmark"):
        return
    from pytest_benchmark.logger import PytestBenchmarkWarning  # noqa: PLC0415

    # said, not raised: the first run has nothing to compare with, and a later one may have another driver
    warnings.filterwarnings("default", category=PytestBenchmarkWarning)
    if config.option.benchmark_storage == STORAGE:
        config.option.benchmark_storage = f"{STORAGE}/{slug(device)}"
    if device == "cuda":
        config.option.benchmark_timer = "tests.speed.stopwatch.Moment"


def pytest_generate_tests(metafunc):
    if "case" in metafunc.fixturenames:
        found = cases(metafunc.function.__name__.removeprefix("test_"), device_of(metafunc.config))
        metafunc.parametrize("case", list(found), ids=lambda case: case.id)


@pytest.hookimpl(optionalhook=True)
def pytest_benchmark_generate_machine_info(config):
    """What stays the same from run to run, so that pytest-benchmark warns of a comparison where it does not."""
    return machine(device_of(config))


def pytest_terminal_summary(terminalreporter, config):
    """What was gated, and what was not."""
    if not (found := config.stash.get(JUDGED, {})):
        return
    worst = max(found, key=found.__getitem__)
    lines = [f"{len(found)} answers judged; the worst error is {found[worst]:.2f} of what is allowed: {worst}"]
    if not config.getoption("benchmark_disable"):
        lines += ["times are reported, not judged: `nox -s against -- BASE` judges those of one job"]
    for line in lines:
        terminalreporter.write_line(line)


@pytest.fixture
def device(request):
    return device_of(request.config)


@pytest.fixture(autouse=True)
def nan_filled_empty_tensors():
    """Of all tests, but for those that are timed: filling every new tensor would be timed too."""
