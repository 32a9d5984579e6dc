"""Two commits against each other: what is measured and kept, and what happens where there is no base."""

import itertools
import json
import re
import subprocess

import pytest

from benchmarks.against import command
from benchmarks.against.sides import Unusable
from tests.benchmarks.against.conftest import WRONG_SUITE, spoil
from tests.benchmarks.against.synthetic import QUICK, disturbed, process, runs


@pytest.fixture
def measured_in_turn(repository, tmp_path, monkeypatch):
    """The command, whose measurements are these runs, one after the other: its status, its JSON, and its tests."""
    root, commit = repository
    commit(0.002)
    commit(0.002)

    def command_with(*measurements):
        left, tests = list(measurements), []

        def alternating(sides, arguments, chosen, earlier):
            tests.append(chosen)
            return left.pop(0)

        monkeypatch.setattr(command, "alternating", alternating)
        path = tmp_path / "found.json"
        status = command.main(["HEAD^", "--json", str(path)], root)
        return status, json.loads(path.read_text()), tests

    return command_with


def test_what_stays_undecided_is_measured_three_times_more_and_fails(measured_in_turn, capsys):
    noise = [disturbed(1.3, seed) for seed in range(command.REPEATS)]
    status, found, tests = measured_in_turn(runs(1.3), *noise)
    assert (status, found["passed"]) == (1, False)
    assert tests == [["tests/speed"], [QUICK], [QUICK], [QUICK]]
    kept = [[run.record for run in of_side["head"]] for of_side in noise]
    assert [records["head"] for records in found["records_again"]] == kept
    assert "undecided; at first SLOWER" in " ".join(capsys.readouterr().out.split())


def test_what_decides_is_shown(measured_in_turn, tmp_path):
    status, found, tests = measured_in_turn(runs(1.3), disturbed(1.3), runs(1.0, seed=1, head={"names": (QUICK,)}))
    assert (status, found["passed"], len(tests)) == (0, True, 3)
    page = (tmp_path / "page.md").read_text()
    assert "| same; at first SLOWER, 1.3" in page
    (theirs,) = [line for line in page.splitlines() if "quick/torch" in line and "|" not in line]
    assert abs(float(theirs.split()[-1].strip("+%"))) < 5


def test_an_injected_slowdown_is_flagged_and_what_is_unchanged_is_not(repository, tmp_path, capsys):
    root, commit = repository
    commit(0.002)
    commit(0.004)
    path = tmp_path / "new" / "found.json"
    assert command.main(["HEAD^", "--rounds", "7", "--json", str(path)], root) == 1
    found = json.loads(path.read_text())
    a, b = found["results"]
    assert (a["name"], a["level"], b["level"]) == ("tests/speed/test_workloads.py::test_root[a]", "failure", "")
    assert len(a["base"]) == len(a["head"]) == 7
    assert (a["first"]["level"], b["first"]) == ("failure", None)
    assert a["errors"] == [0.5, 0.5]
    assert all(x["extra_info"]["error"] == 0.5 for record in found["records"]["head"] for x in record["benchmarks"])
    (again,) = found["records_again"]
    for records in (found["records"], again):
        assert {side: len(of_side) for side, of_side in records.items()} == {"base": 7, "head": 7}
    assert {x["name"] for records in again.values() for record in records for x in record["benchmarks"]} == {
        "test_root[a]"
    }
    printed = capsys.readouterr().out
    assert "::error title=slower::a: " in printed
    page = (tmp_path / "page.md").read_text()
    assert page.startswith("## Failed: 2 compared, 1 slower by more than 10%")
    assert "pytest-benchmark's own comparison" in page
    worktrees = subprocess.run(["git", "worktree", "list"], cwd=root, capture_output=True, text=True, check=True).stdout
    assert len(worktrees.splitlines()) == 1


def test_a_base_without_a_suite_is_no_base(repository, tmp_path, capsys):
    root, commit = repository
    commit(0.002)
    path = tmp_path / "found.json"
    assert command.main(["HEAD^", "--json", str(path)], root) == 0
    found = json.loads(path.read_text())
    assert found["saved"].endswith("has no tests/speed")
    assert [b["name"] for b in found["records"]["head"][0]["benchmarks"]] == ["test_root[a]", "test_root[b]"]
    printed = capsys.readouterr().out
    assert "::warning title=nothing to compare with::base" in printed
    assert "compared with nothing: base" in printed
    assert (tmp_path / "page.md").read_text().startswith("## Saved, compared with nothing")


def test_the_first_commit_has_no_base(repository, tmp_path, monkeypatch):
    root, _ = repository
    monkeypatch.setattr(command, "measure", lambda *_: process(0))
    assert command.main(["HEAD^", "--json", str(tmp_path / "found.json")], root) == 0
    assert json.loads((tmp_path / "found.json").read_text())["saved"] == "HEAD is the first commit"


def test_a_parent_that_was_not_fetched_is_no_first_commit(repository, tmp_path, capsys):
    root, commit = repository
    commit(0.002)
    clone = ["git", "clone", "--quiet", "--depth=1", f"file://{root}", str(tmp_path / "shallow")]
    subprocess.run(clone, check=True, capture_output=True)
    assert command.main(["HEAD^"], tmp_path / "shallow") == 2
    assert "there is no commit 'HEAD^' here; fetch it" in capsys.readouterr().err


def test_sides_take_turns_at_being_first(repository, tmp_path, monkeypatch):
    root, commit = repository
    commit(0.002)
    commit(0.002)
    seen, seeds = [], itertools.count()

    def measure(side, tests, options):
        seen.append(side.name)
        return process(next(seeds))

    monkeypatch.setattr(command, "measure", measure)
    assert command.main(["HEAD^", "--json", str(tmp_path / "found.json")], root) == 0
    assert seen[:6] == ["base", "head", "head", "base", "base", "head"]
    assert len(seen) == 2 * command.ROUNDS


def test_a_job_that_is_cut_short_keeps_every_round(repository, tmp_path, monkeypatch):
    root, commit = repository
    commit(0.002)
    commit(0.002)
    seeds = itertools.count()

    def measure(side, tests, options):
        if (seed := next(seeds)) == 2 * command.ROUNDS + 3:
            raise RuntimeError("cut short in the second round of the second measurement")
        return process(seed, 1.3 if side.name == "head" else 1.0)

    monkeypatch.setattr(command, "measure", measure)
    path = tmp_path / "found.json"
    with pytest.raises(RuntimeError, match="cut short"):
        command.main(["HEAD^", "--json", str(path)], root)
    found = json.loads(path.read_text())
    (again,) = found["records_again"]
    assert {side: len(of_side) for side, of_side in found["records"].items()} == {"base": 12, "head": 12}
    assert {side: len(of_side) for side, of_side in again.items()} == {"base": 1, "head": 1}


def test_times_of_other_precisions_are_shown_and_pass(measured_in_turn, tmp_path, capsys):
    status, found, tests = measured_in_turn(runs(1.3, head={"precision": "tf32x3"}))
    # nothing to measure again
    assert (status, tests) == (0, [["tests/speed"]])
    reason = "both must have the same precision; base has 'ieee', head 'tf32x3'; time both on one device"
    result = found["results"][0]
    assert (result["verdict"], result["reason"], result["ratio"]) == ("not comparable", reason, None)
    assert found["records"]["head"]
    first, *_ = (tmp_path / "page.md").read_text().split("\n\n")
    assert first == "## Passed: 0 compared, none slower, 2 not comparable"
    (row, *_) = [line for line in (tmp_path / "page.md").read_text().splitlines() if "`quick/torch" in line]
    assert row.endswith(f"| · | · | not comparable: {reason} | 1.0e-07 | 1.0e-07 |")
    printed = capsys.readouterr().out
    assert f"::warning title=not comparable::quick/torch/forward: {reason}\n" in printed
    assert "not comparable: both" in " ".join(printed.split())


@pytest.mark.parametrize("lost", ["base", "head"])
def test_a_side_that_does_not_run(lost, repository, tmp_path, monkeypatch, capsys):
    root, commit = repository
    commit(0.002)
    commit(0.002)

    def measure(side, tests, options):
        if side.name == lost:
            raise Unusable(side, "no module named that\n# 100% ``` of <it>")
        return process(0)

    monkeypatch.setattr(command, "measure", measure)
    status = command.main(["HEAD^", "--json", str(tmp_path / "found.json")], root)
    assert status == {"base": 0, "head": 2}[lost]
    said = capsys.readouterr()
    assert "measured nothing; its last words:\nno module named that" in {"base": said.out, "head": said.err}[lost]
    if lost == "base":
        assert "measured nothing; its last words:%0Ano module named that%0A# 100%25 ``` of <it>\n" in said.out
        page = (tmp_path / "page.md").read_text()
        assert "its last words:\n\n````\nno module named that\n# 100% ``` of <it>\n````\n\nhead " in page


@pytest.mark.parametrize("lost", ["base", "head"])
def test_a_side_that_dies_on_the_way_keeps_what_was_measured(lost, repository, tmp_path, monkeypatch, capsys):
    root, commit = repository
    commit(0.002)
    commit(0.002)
    done = []

    def measure(side, tests, options):
        if side.name == lost and done.count(side.name) == 2:
            raise Unusable(side, "out of memory")
        done.append(side.name)
        return process(0)

    monkeypatch.setattr(command, "measure", measure)
    path = tmp_path / "found.json"
    assert command.main(["HEAD^", "--json", str(path)], root) == 2
    said = capsys.readouterr().err
    assert "measured nothing; its last words:\nout of memory" in said
    assert said.endswith(f"{path} has what was measured before\n")
    assert [len(records) for records in json.loads(path.read_text())["records"].values()] == [2, 2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["HEAD^^^"], "there is no commit 'HEAD^^^' here; fetch it, or name another"),
        (["HEAD^", "--rounds", "6"], "--rounds must be at least 7; got 6"),
    ],
)
def test_wrong_usage(options, message, repository, capsys):
    root, commit = repository
    commit(0.002)
    assert command.main(options, root) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--json", "--summary"])
@pytest.mark.parametrize("path", ["", "file/found"])
def test_a_path_that_cannot_be_written_is_refused_before_the_first_round(option, path, repository, tmp_path, capsys):
    root, commit = repository
    commit(0.002)
    (tmp_path / "file").touch()
    arguments = ["HEAD", "--json", str(tmp_path / "found.json"), option, str(tmp_path / path)]
    assert command.main(arguments, root) == 2
    reasons = "Is a directory|Not a directory|File exists"
    # nothing else: no round has begun
    assert re.fullmatch(rf"python -m benchmarks.against: cannot write \S+: ({reasons})\n", capsys.readouterr().err)


def test_a_head_that_is_all_wrong_fails_with_the_reasons(repository, tmp_path, capsys):
    root, commit = repository
    commit(0.002)
    spoil(root, WRONG_SUITE)
    path = tmp_path / "found.json"
    assert command.main(["HEAD^", "--json", str(path)], root) == 1
    found = json.loads(path.read_text())
    names = [f"tests/speed/test_workloads.py::test_root[{case}]" for case in "ab"]
    assert found["wrong"] == {"base": {}, "head": dict.fromkeys(names, "Failed: the error is 1")}
    assert [len(records) for records in found["records"].values()] == [1, 1]
    said = capsys.readouterr().out
    assert "::error title=wrong::a: Failed: the error is 1" in said
    assert "Failed: 0 compared, none slower, 2 wrong" in said
    spoil(root, WRONG_SUITE + "# as wrong as before\n")
    assert command.main(["HEAD^", "--json", str(path)], root) == 1
    spoil(root, WRONG_SUITE + "# and no base\n")
    assert command.main(["HEAD~4", "--json", str(path)], root) == 1
    assert json.loads(path.read_text())["wrong"]["head"] == found["wrong"]["head"]
