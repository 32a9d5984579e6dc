"""The package is what is committed: module names, the list in pyproject.toml, the links and the wheel."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"ndbench": "ndbench", "kernels": "ndbench/kernels", "verify": "ndbench/verify"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def git(*arguments):
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def tracked_modules():
    """Where every committed module of the three folders is installed."""
    committed = [PurePosixPath(line) for line in git("ls-files", "--", *FOLDERS).splitlines()]
    return {str(FOLDERS[path.parts[0]] / path.relative_to(path.parts[0])) for path in committed if path.suffix == ".py"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel built from a copy of the committed files, so that no stale build folder has a part in it."""
    source, dist = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    for name in git("ls-files").splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name, follow_symlinks=False)
    asked = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(dist), str(source)]
    built = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=dist, timeout=120)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = dist.glob("*.whl")
    with zipfile.ZipFile(path) as archive:
        yield archive


@pytest.mark.parametrize("name", ["kernels", "verify"])
def test_a_folder_cannot_be_imported_by_its_own_name(name):
    asked = [sys.executable, "-c", f"import {name}"]
    found = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert found.returncode == 1
    last = found.stderr.strip().splitlines()[-1]
    assert last == f"ImportError: import this package as ndbench.{name}; it was imported as '{name}'"


@pytest.mark.parametrize("name", ["kernels", "verify"])
def test_the_links_are_committed_and_relative(name):
    mode, _, rest = git("ls-files", "-s", "--", f"ndbench/{name}").partition(" ")
    assert (mode, rest.split("\t")[1].strip()) == ("120000", f"ndbench/{name}")
    assert (ROOT / "ndbench" / name).readlink() == Path("..") / name
    assert git("cat-file", "blob", rest.split()[0]) == f"../{name}"


def test_every_folder_with_committed_modules_is_a_listed_package():
    folders = {str(PurePosixPath(module).parent).replace("/", ".") for module in tracked_modules()}
    listed = PROJECT["tool"]["setuptools"]["packages"]
    assert len(set(listed)) == len(listed)
    assert set(listed) == folders


def test_every_listed_package_has_an_init():
    missing = [
        p
        for p in PROJECT["tool"]["setuptools"]["packages"]
        if f"{p.replace('.', '/')}/__init__.py" not in tracked_modules()
    ]
    assert missing == []


def test_the_wheel_holds_exactly_the_committed_modules(wheel):
    files = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert files == tracked_modules() | {"ndbench/py.typed"}


def test_the_wheel_has_one_console_script_and_no_other_top_level_name(wheel):
    (points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert wheel.read(points).decode().split("\n")[:2] == ["[console_scripts]", "ndbench = ndbench.cli:main"]
    assert {name.split("/")[0].split("-")[0] for name in wheel.namelist()} == {"ndbench"}


def test_the_wheel_says_what_it_needs(wheel):
    (metadata,) = [name for name in wheel.namelist() if name.endswith("METADATA")]
    lines = wheel.read(metadata).decode().splitlines()
    assert "Name: ndbench" in lines
    assert f"Version: {PROJECT['project']['version']}" in lines
    assert "Requires-Dist: torch>=2.11" in lines
    assert "Requires-Python: >=3.11" in lines
