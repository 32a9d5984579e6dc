"""Whether asv finds what it is there to find, and nothing else.

`python -m benchmarks.regressions` clones HEAD into a scratch folder, commits three changes to `newton_schulz` there,
and compares each with HEAD by `asv continuous` in interleaved rounds, factor 1.5:

- unchanged: a comment;
- slower: every call computes twice;
- less accurate: the distance from what float64 finds is ten times as large.

It prints asv's tables, and ends with status 1 if a change was not flagged as worse, or the comment was, or anything
got better or failed, which none of the changes should do. Figures that do not depend on time are compared exactly as
well: after a comment none may differ in any digit. asv makes an environment first, which takes minutes.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
CHANGED = "ndbench/roots/newton_schulz.py"
CASE = r"\('newton_schulz-T5-n288-b1', 'bmm chain'\)"
"""The implementation that calls what is changed."""

TIMES = rf"inverse_sqrt\.Timing\.time_call{CASE}"
ERRORS = rf"inverse_sqrt\.Figures\.track_error{CASE}"
FIGURES = rf"inverse_sqrt\.Figures\.track_\w+{CASE}"
TRACKED = ("track_error", "track_flops", "track_bytes", "track_peak_memory")


@dataclass(frozen=True)
class Change:
    """A commit on top of HEAD.

    Attributes:
        name: of the change, and of its branch.
        code: what is put at the end of the changed file.
        benchmarks: which to run, as regular expressions.
        flagged: how many of them must come out worse, by name.
    """

    name: str
    code: str
    benchmarks: tuple[str, ...]
    flagged: dict[str, int]


SLOWER = """
_right = newton_schulz


def newton_schulz(A, steps):
    _right(A, steps)
    return _right(A, steps)
"""
LESS_ACCURATE = """
_right = newton_schulz


def newton_schulz(A, steps):
    exact = _right(A.double(), steps)
    return (exact + 10 * (_right(A, steps) - exact)).to(A.dtype)
"""
CHANGES = (
    Change("unchanged", "# a comment\n", (TIMES, FIGURES), {}),
    Change("slower", SLOWER, (TIMES,), {"time_call": 1}),
    Change("less-accurate", LESS_ACCURATE, (ERRORS,), {"track_error": 1}),
)
VERDICT = re.compile(r"\||.*BENCHMARKS|PERFORMANCE")
"""Lines of asv's table, and of its conclusion."""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--rounds", type=int, default=6, help="of asv, in processes of their own; less than half may be disturbed"
    )
    parser.add_argument("--folder", type=Path, help="to work in, and to keep with asv's environment for another time")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        clone = cloned(arguments.folder or Path(scratch))
        wrong = [line for change in CHANGES for line in found_wrong(clone, change, arguments.rounds)]
    print(*(wrong or ["all changes were flagged, and the comment was not"]), sep="\n")
    sys.exit(bool(wrong))


def cloned(folder):
    """A clone, perhaps that of another time, with HEAD of this repository as its branch before."""
    clone = folder / "clone"
    if not clone.exists():
        run(ROOT, "git", "clone", "--quiet", str(ROOT), str(clone))
    run(clone, "git", "fetch", "--quiet", str(ROOT), "HEAD")
    run(clone, "git", "checkout", "--quiet", "--force", "-B", "before", "FETCH_HEAD")
    asv(clone, "machine", "--yes")
    return clone


def found_wrong(clone, change, rounds):
    """Commit one change, compare it with what was before, and say what asv missed or invented."""
    commit(clone, change)
    benchmarks = [word for benchmark in change.benchmarks for word in ("--bench", benchmark)]
    how = ("--interleave-rounds", "--factor", "1.5", "--attribute", f"rounds={rounds}", *benchmarks)
    table = asv(clone, "continuous", *how, "before", change.name)
    print(f"\n## {change.name}\n", *filter(VERDICT.match, table.splitlines()), sep="\n", flush=True)
    if (worse := marked(table, "+")) != change.flagged:
        yield f"{change.name}: asv flagged {worse or 'nothing'}, and not {change.flagged or 'nothing'}"
    if others := marked(table, "-!"):
        yield f"{change.name}: {others} got better, or failed"
    if not change.flagged:
        # with a factor of 1 every difference is one
        found = asv(clone, "compare", "--factor", "1", "before", change.name)
        yield from (f"{change.name}: {name} differs, or is missing" for name in TRACKED if not same(found, name))


def commit(clone, change):
    """A branch of the change's name, one commit beyond HEAD."""
    run(clone, "git", "checkout", "--quiet", "-B", change.name, "before")
    with (clone / CHANGED).open("a") as file:
        file.write(change.code)
    author = ("-c", "user.name=nobody", "-c", "user.email=nobody@localhost")
    run(clone, "git", *author, "commit", "--quiet", "--all", "--message", change.name)


def marked(table, marks):
    """How many benchmarks have one of the marks in asv's table, by the last part of the name.

    They are + for worse, - for better, and ! for one that failed.
    """
    names = re.findall(rf"^\| [{marks}] .*\.(\w+)(?:\(.*\))? *\|$", table, re.MULTILINE)
    return {name: names.count(name) for name in names}


def same(table, name):
    """Whether asv's table has two values of the benchmark, and marks no difference."""
    row = rf"^\|  .* 1(\.00)? +\| inverse_sqrt\.Figures\.{name}{CASE} *\|$"
    return bool(re.search(row, table, re.MULTILINE))


def asv(clone, *arguments):
    # 1 says that something got slower
    return run(clone, sys.executable, "-m", "asv", *arguments, allowed=(0, 1))


def run(folder, *command, allowed=(0,)):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode not in allowed:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


if __name__ == "__main__":
    main()
