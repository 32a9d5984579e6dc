"""Base against head: what is flagged, what is not, and what happens where there is no base."""

import itertools
import json
import random
import re
import subprocess

import pytest

from benchmarks.against import command, sides, summary
from benchmarks.against.judgement import confirmed, judged
from benchmarks.against.merging import merged, theirs
from benchmarks.against.sides import Run, Side, Unusable

WHERE = {"device": "a device", "driver_version": "1.2", "packages": {"torch": "2"}}
SUITE_FILE = "tests/speed/test_workloads.py"
QUICK, OTHER, NEW = (f"{SUITE_FILE}::test_root[{name}/torch/forward]" for name in ("quick", "other", "new"))
ROUNDS = 12


def benchmark(name, seconds, error=1e-7):
    extra = {"commit": "c0ffee", "error": error, "device": "a device"}
    return {
        "name": name.partition("::")[2],
        "fullname": name,
        "group": None,
        "param": name,
        "params": None,
        "extra_info": extra,
        "stats": {"data": seconds},
    }


def process(seed, ratio=1.0, names=(QUICK, OTHER), slow=(QUICK,), wrong=None):
    """One process: the quick test at 1 ms times the ratio, noise of 1 % of the process and of each sample."""
    rng = random.Random(seed)
    of_process = rng.gauss(1, 0.01)
    found = []
    for name in names:
        typical = 1e-3 * of_process * (ratio if name in slow else 1)
        found.append(benchmark(name, [typical * abs(rng.gauss(1, 0.01)) for _ in range(8)]))
    return Run({"machine_info": WHERE, "benchmarks": found}, wrong or {})


def runs(ratio=1.0, seed=0, base=None, head=None):
    seeds = itertools.count(1000 * seed)
    return {
        "base": [process(next(seeds), **(base or {})) for _ in range(ROUNDS)],
        "head": [process(next(seeds), ratio, **(head or {})) for _ in range(ROUNDS)],
    }


@pytest.mark.parametrize(
    ("ratio", "verdict", "level"),
    [(1.3, "slower", "failure"), (1.075, "slower", "warning"), (1.0, "same", ""), (0.7, "faster", "")],
)
def test_a_slowdown_fails_above_ten_percent_and_warns_above_five(ratio, verdict, level):
    quick, other = judged(runs(ratio)).results
    assert (quick.verdict, quick.level) == (verdict, level)
    assert quick.ratio == pytest.approx(ratio, rel=0.02)
    assert quick.interval[0] < ratio < quick.interval[1]
    assert (other.verdict, other.level) == ("same", "")


@pytest.mark.parametrize(("rounds", "verdict"), [(command.FEWEST, "slower"), (command.FEWEST - 1, "undecided")])
def test_fewer_rounds_could_show_nothing(rounds, verdict):
    found = {side: of_side[:rounds] for side, of_side in runs(2.0).items()}
    assert judged(found).results[0].verdict == verdict


def test_equals_are_not_flagged():
    judgements = [judged(runs(seed=seed)) for seed in range(50)]
    assert not [result for judgement in judgements for result in judgement.results if result.level]
    assert all(judgement.passed for judgement in judgements)


def test_a_large_ratio_that_is_not_significant_passes():
    found = judged(disturbed(1.15))
    (result,) = found.results
    assert (result.verdict, result.level) == ("undecided", "")
    assert summary.outcome(found) == "Passed: 1 compared, none slower, 1 undecided"


def test_what_is_slower_once_by_chance_is_not_slower_twice():
    first = judged(runs(1.3))
    assert not first.passed
    again = judged(runs(1.0, seed=1, base={"names": (QUICK,)}, head={"names": (QUICK,)}))
    found = confirmed(first, again)
    assert found.passed
    assert [r.name for r in found.results] == [QUICK, OTHER]
    assert [r.first and r.first.level for r in found.results] == ["failure", None]
    assert not any(r.is_open for r in found.results)
    assert not confirmed(first, judged(runs(1.3, seed=1))).passed


@pytest.mark.parametrize(("ratio", "level", "passed"), [(1.3, "failure", False), (1.075, "warning", True)])
def test_noise_acquits_of_nothing(ratio, level, passed):
    first = judged(runs(ratio))
    found = confirmed(first, judged(disturbed(ratio)))
    quick, other = found.results
    assert (quick.verdict, quick.level, quick.is_open) == ("undecided", level, True)
    assert (other.first, found.passed) == (None, passed)
    again = confirmed(found, judged(disturbed(ratio, seed=1)))
    assert again.results[0].first == first.results[0]
    assert again.passed is passed
    assert confirmed(again, judged(runs(1.0, seed=1))).passed
    assert " undecided" not in summary.outcome(found).partition(":")[2]
    page = summary.markdown(found, [Side("base", None, "b" * 40), Side("head", None, "h" * 40)], WHERE, "theirs")
    mark = {"failure": "SLOWER", "warning": "slower, warning"}[level]
    assert f"| undecided; at first {mark}, {first.results[0].ratio:.3f} |" in page
    assert f"; at first {mark}, " in next(iter(summary.annotations(found)))


def disturbed(ratio, seed=0):
    """Runs of the quick test in which noise hides the ratio."""
    rng = random.Random(seed)
    return {
        side: [
            Run({"benchmarks": [benchmark(QUICK, [center * rng.lognormvariate(0, 0.5)] * 4)]}) for _ in range(ROUNDS)
        ]
        for side, center in (("base", 1e-3), ("head", ratio * 1e-3))
    }


def test_what_one_side_alone_has_is_listed():
    found = judged(runs(head={"names": (QUICK, NEW)}))
    assert found.only == {"base": [OTHER], "head": [NEW]}
    assert found.passed


def test_a_wrong_answer_of_the_head_fails():
    wrong = {"names": (QUICK,), "wrong": {OTHER: "the error is 0.1"}}
    found = judged(runs(head=wrong))
    assert not found.passed
    assert found.only == {"base": [], "head": []}
    assert judged(runs(base=wrong)).passed
    page = summary.markdown(found, [Side("base", None, "b" * 40), Side("head", None, "h" * 40)], WHERE, "theirs")
    assert "- `other/torch/forward`: the error is 0.1" in page
    assert list(summary.annotations(found)) == ["::error title=wrong::other/torch/forward: the error is 0.1"]


def test_the_page_of_a_slowdown():
    found = judged(runs(1.3))
    page = summary.markdown(found, [Side("base", None, "b" * 40), Side("head", None, "h" * 40)], WHERE, "theirs")
    first, about, *_ = page.split("\n\n")
    assert first == "## Failed: 2 compared, 1 slower by more than 10%"
    assert about == "base bbbbbbbbbbbb, head hhhhhhhhhhhh, on a device, driver 1.2, torch 2"
    (row,) = [line for line in page.split("<details>")[0].splitlines() if "quick/torch" in line]
    assert row.startswith("| `quick/torch/forward` | 995.7 µs | 1.30 ms | 1.300 | 1.2")
    assert row.endswith("| SLOWER | 1.0e-07 | 1.0e-07 |")
    assert "```\ntheirs\n```" in page
    assert next(iter(summary.annotations(found))).startswith("::error title=slower::quick/torch/forward: 1.")


def test_pytest_benchmark_compares_the_same_records():
    found = runs(1.3)
    records = {side: merged([run.record for run in of_side]) for side, of_side in found.items()}
    quick = records["head"]["benchmarks"][0]["stats"]
    assert quick["rounds"] == 8 * ROUNDS
    assert quick["min"] <= quick["q1"] <= quick["median"] <= quick["q3"] <= quick["max"]
    (line,) = [line for line in theirs(records).splitlines() if "quick/torch" in line]
    assert 20 < float(line.split()[-1].removesuffix("%")) < 40


@pytest.fixture
def measured_in_turn(repository, tmp_path, monkeypatch):
    """The command, whose measurements are these runs, one after the other: its status, its JSON, and its tests."""
    root, commit = repository
    commit(0.002)
    commit(0.002)

    def command_with(*measurements):
        left, tests = list(measurements), []

        def alternating(sides, arguments, chosen):
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


def test_code_of_another_commit_does_not_stand_in(repository):
    root, commit = repository
    commit(0.002)
    stray = Run({"benchmarks": [benchmark(QUICK, [1.0])]})
    with pytest.raises(RuntimeError, match="base should have run the code of abc; it ran that of c0ffee"):
        sides.check_origin(Side("base", root, "abc"), stray)


def test_wrong_answers_are_read_from_the_results(tmp_path):
    (tmp_path / "results.xml").write_text(
        "<testsuites><testsuite><testcase classname='tests.speed.test_x' name='good'/>"
        "<testcase classname='tests.speed.test_x' name='test_root[bad]'>"
        "<failure message='Failed: the error is 1&#10;more'/></testcase></testsuite></testsuites>"
    )
    assert sides.failures(tmp_path / "results.xml") == {
        "tests/speed/test_x.py::test_root[bad]": "Failed: the error is 1"
    }


WRONG_SUITE = """
import pytest

@pytest.mark.parametrize("case", ["a", "b"])
def test_root(case, benchmark):
    pytest.fail("the error is 1")
"""


def spoil(root, suite):
    """Commit a suite in the place of the one that is there."""
    (root / "tests" / "speed" / "test_workloads.py").write_text(suite)
    git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
    subprocess.run([*git, "commit", "--quiet", "--all", "--message", "spoilt"], cwd=root, check=True)


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


def test_a_suite_that_cannot_be_imported_has_measured_nothing(repository, tmp_path):
    root, commit = repository
    commit(0.002)
    spoil(root, "import nothing_of_that_name\n")
    with pytest.raises(Unusable, match="nothing_of_that_name"):
        sides.measure(Side("head", root, sides.resolved("HEAD", root)), ["tests/speed"], [])


def test_a_branch_that_was_only_fetched_is_found(repository, tmp_path):
    root, commit = repository
    commit(0.002)
    subprocess.run(["git", "branch", "topic/one"], cwd=root, check=True)
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", f"file://{root}", str(clone)], check=True)
    assert sides.resolved("topic/one", clone) == sides.resolved("HEAD", root)
    # the remote's HEAD has ancestors that a first commit has not
    subprocess.run(["git", "checkout", "--quiet", "HEAD^"], cwd=clone, check=True)
    assert [sides.resolved(name, clone) for name in ("HEAD^", "no-such-branch", "--all")] == ["", "", ""]


def test_what_was_wrong_is_not_timed_again():
    assert sides.known([]) == []
    assert sides.known([Run({}, {QUICK: "wrong"})]) == ["--unjudged", f"--deselect={QUICK}"]
