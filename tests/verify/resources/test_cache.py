from dataclasses import replace
from pathlib import Path

import pytest

from ndbench.kernels.variant import Configuration
from ndbench.verify.resources import cache
from ndbench.verify.resources.targets import target_named
from tests.verify.resources import planted
from tests.verify.resources.test_gates import FIGURES

pytestmark = planted.NEEDS_COMPILER

SM_90 = target_named("sm_90")
BASE = planted.RIGHT


def test_what_is_stored_is_loaded():
    assert cache.load("some") is None
    cache.store("some", replace(FIGURES, matrix={"tf32": 3}))
    assert cache.load("some") == replace(FIGURES, matrix={"tf32": 3})


@pytest.mark.parametrize(
    "other",
    [
        replace(BASE, kernel=planted.strided),
        replace(BASE, signature={**BASE.signature, "A": "*fp16"}),
        replace(BASE, divisible=()),
        replace(BASE, ones=("N",)),
        replace(BASE, configuration=Configuration(BASE.configuration.constants, warps=2)),
        replace(BASE, configuration=Configuration(BASE.configuration.constants, warps=1, stages=2)),
        replace(BASE, configuration=Configuration({"N": 32, "PRECISION": "ieee"}, warps=1)),
    ],
)
def test_the_key_tells_what_is_compiled(other):
    assert cache.key(BASE, SM_90) != cache.key(other, SM_90)


def test_the_key_tells_targets_and_versions(monkeypatch):
    before = cache.key(BASE, SM_90)
    assert cache.key(BASE, target_named("sm_80")) != before
    monkeypatch.setattr(cache.triton, "__version__", "0")
    assert cache.key(BASE, SM_90) != before


def test_names_and_promises_are_not_part_of_the_key():
    assert cache.key(BASE, SM_90) == cache.key(replace(BASE, name="other", precision="tf32"), SM_90)


def test_folders(monkeypatch):
    monkeypatch.setenv("NDBENCH_CACHE", "/some/where")
    assert cache.folder() == Path("/some/where")
    monkeypatch.delenv("NDBENCH_CACHE")
    monkeypatch.setattr(cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "/home/caches")
    assert cache.folder() == Path("/home/caches/ndbench")
    monkeypatch.setattr(cache.sys, "platform", "darwin")
    assert cache.folder() == Path.home() / "Library" / "Caches" / "ndbench"
