"""What a report says about where its figures come from."""

import os
from types import SimpleNamespace

import pytest
import torch

from ndbench import environment as environments
from ndbench.environment import PACKAGES, allocator, environment


def test_environment_tells_what_changes_results():
    found = environment()
    assert set(found["packages"]) == set(PACKAGES)
    assert found["packages"]["torch"] == torch.__version__
    assert found["cores"] == os.cpu_count()
    assert found["threads"] == torch.get_num_threads()
    assert found["float32_matmul_precision"] == torch.get_float32_matmul_precision()
    assert found["commit"] == environments.commit()


def test_the_commit_is_that_of_the_checkout_and_tells_changes(monkeypatch):
    answers = {"rev-parse": "abc", "status": ""}
    monkeypatch.setattr(environments, "_git", lambda command, *_: answers[command])
    assert environments.commit() == "abc"
    answers["status"] = " M file"
    assert environments.commit() == "abc+"
    answers["rev-parse"] = ""
    assert environments.commit() == "unknown"


def test_without_git_the_commit_is_unknown(monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert environments.commit() == "unknown"


def test_environment_without_a_device_and_without_a_package(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(environments, "PACKAGES", ("no-such-distribution",))
    found = environment()
    assert found["device"] == "none"
    assert found["packages"] == {"no-such-distribution": "not installed"}


def second_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda: SimpleNamespace(uuid="b-2"))


def test_environment_names_the_device(monkeypatch):
    second_gpu(monkeypatch)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "NVIDIA H200")
    assert environment()["device"] == "NVIDIA H200"


@pytest.mark.parametrize(
    ("printed", "driver"), [("580.1, 345 MHz, 1980 MHz, 3201 MHz, 700.00 W", "580.1"), ("it has failed", None)]
)
def test_environment_tells_driver_and_clocks(printed, driver, tmp_path, monkeypatch):
    second_gpu(monkeypatch)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environments.graphics() == {}
    program = tmp_path / "nvidia-smi"
    program.write_text(f"#!/bin/sh\necho '{printed}'\n")
    program.chmod(0o755)
    assert environments.graphics().get("driver_version") == driver
    assert environments.graphics().get("clocks.max.sm") == (driver and "1980 MHz")


def test_clocks_are_those_of_the_current_device(tmp_path, monkeypatch):
    second_gpu(monkeypatch)
    program = tmp_path / "nvidia-smi"
    program.write_text('#!/bin/sh\n[ "$1" = --id=GPU-b-2 ] || echo "1, a, a, a, a"\necho "2, b, b, b, b"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert environments.graphics()["driver_version"] == "2"


def test_the_allocator_and_its_variables(monkeypatch):
    monkeypatch.setenv("MALLOC_ARENA_MAX", "1")
    monkeypatch.setenv("MALLARD", "quack")
    found = allocator()
    assert found["library"]
    assert found["variables"]["MALLOC_ARENA_MAX"] == "1"
    assert "MALLARD" not in found["variables"]
    assert environment()["allocator"] == found
