"""A side and its process: which commit it is, and what was wrong there."""

import subprocess

import pytest

from benchmarks.against import sides
from benchmarks.against.sides import Run, Side, Unusable
from tests.benchmarks.against.conftest import spoil
from tests.benchmarks.against.synthetic import OTHER, QUICK, benchmark


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


def test_what_the_first_process_did_not_find_right_has_no_time():
    first = Run({"benchmarks": [benchmark(QUICK, [1.0], error=0.5)]}, {OTHER: "failed by chance"})
    unjudged = [{**benchmark(name, [2.0]), "extra_info": {"commit": "c0ffee"}} for name in (QUICK, OTHER)]
    (quick,) = sides.informed(Run({"benchmarks": unjudged}), first).record["benchmarks"]
    assert (quick["fullname"], quick["stats"]["data"], quick["extra_info"]["error"]) == (QUICK, [2.0], 0.5)


def test_what_was_wrong_is_not_timed_again():
    assert sides.known([]) == []
    assert sides.known([Run({}, {QUICK: "wrong"})]) == ["--unjudged", f"--deselect={QUICK}"]
