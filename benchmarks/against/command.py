"""Measure a base and the checkout in one job, alternating, and gate on what the difference shows.

`python -m benchmarks.against BASE` runs tests/speed of both commits in processes of their own: base, head, head, base,
base, ... so that a machine that warms up or slows down does so to both. The first process of each side judges the
answers; all of them time those that are right. A process gives one figure of each workload, the lower quartile of its
samples, and the figures of both sides are compared by `ndbench.timing.compare`. What comes out slower by more than 5 %
is measured again, and the new measurement of it counts: of many comparisons some are off by chance, and chance does not
strike the same one twice. While that is undecided, it is measured anew, three times in all; what is undecided then
stays what it was, since noise must not acquit.

Exits with 1 if a slowdown above 10 % is significant, an answer of the head is wrong or both sides have no workload in
common, with 2 for wrong usage or if a side dies on the way, else with 0. Above 5 % it warns, and of workloads that the
base alone has. Where there is nothing to compare with, since HEAD is the first commit or the base has no tests/speed
that runs, the head's run is saved and no time is judged.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from benchmarks.against import summary
from benchmarks.against.judgement import REPEATS, confirmed, judged
from benchmarks.against.merging import latest, merged, theirs
from benchmarks.against.sides import SUITE, Side, Unusable, checked_out, informed, is_first, known, measure, resolved
from ndbench.writing import obstacle_to

ROOT = Path(__file__).parents[2]
ROUNDS = 12
FEWEST = 7
"""Fewer figures of each side cannot differ significantly, even if all of one exceed all of the other."""

DEFAULT = Path(".benchmarks") / "against.json"


def parser():
    options = argparse.ArgumentParser(
        "python -m benchmarks.against", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("base", help="commit or branch to compare the checkout with")
    options.add_argument("--device", choices=("cpu", "cuda"), help="where to compute; by default a GPU if there is one")
    options.add_argument("--only", metavar="TEXT", help="workloads that match this expression, as of pytest -k")
    options.add_argument("--rounds", type=int, default=ROUNDS, help=f"processes of each side; by default {ROUNDS}")
    options.add_argument("--seconds", type=float, default=0.2, help="of samples of one workload in one process")
    options.add_argument("--shared", action="store_true", help="count the processor's time, for a CPU that is busy")
    options.add_argument("--json", type=Path, default=DEFAULT, help=f"every sample, and what they show; {DEFAULT}")
    options.add_argument("--summary", type=Path, help="append the Markdown to this file, beside the job page's")
    return options


def main(argv=None, root=ROOT):
    arguments = parser().parse_args(argv)
    commit = resolved(arguments.base, root)
    if misuse := refused(arguments, commit or is_first(root)):
        return refuse(misuse)
    head = Side("head", root, resolved("HEAD", root))
    try:
        if not commit:
            return save(head, "HEAD is the first commit", arguments)
        with checked_out(commit, root) as base:
            return compare(base, head, arguments)
    except Unusable as reason:
        kept = f"\n{arguments.json} has what was measured before" if reason.after else ""
        return refuse(f"{reason}{kept}")


def refused(arguments, has_base):
    """What is wrong with the arguments, and would show after all rounds only."""
    if arguments.rounds < FEWEST:
        return f"--rounds must be at least {FEWEST}; got {arguments.rounds}"
    if not has_base:
        return f"there is no commit {arguments.base!r} here; fetch it, or name another"
    for path in filter(None, (arguments.json, arguments.summary)):
        if obstacle := obstacle_to(path):
            return f"cannot write {path}: {obstacle}"
    return ""


def compare(base, head, arguments):
    """Both sides in alternation, then what came out slower until it is decided; the exit status."""
    if not base.has_suite:
        return save(head, f"base {base.commit[:12]} has no {SUITE}", arguments)
    sides, measurements = (base, head), []
    try:
        measurements.append(alternating(sides, arguments, [str(SUITE)], measurements))
    except Unusable as reason:
        # a base that did run is no base without tests
        if reason.side is head or reason.after:
            raise
        return save(head, str(reason), arguments)
    judgement = judged(measurements[0])
    while len(measurements) <= REPEATS and (suspects := [r.name for r in judgement.results if r.is_open]):
        measurements.append(alternating(sides, arguments, suspects, measurements))
        judgement = confirmed(judgement, judged(measurements[-1]))
    return report(judgement, measurements, sides, arguments)


def report(judgement, measurements, sides, arguments):
    """Write every sample, and show what decided; the exit status."""
    found = samples(measurements, sides)
    write(arguments.json, {**judgement.plain(), **found})
    first, again = found["records"], found["records_again"]
    where = first["head"][0]["machine_info"] or first["base"][0]["machine_info"]
    own = theirs({side: latest([merged(records[side]) for records in (first, *again)]) for side in first})
    publish(summary.markdown(judgement, sides, where, own), arguments)
    summary.show(judgement, sides, where)
    annotate(summary.annotations(judgement))
    return int(not judgement.passed)


def save(head, why, arguments):
    """The head's run alone; the exit status is 1 only for wrong answers."""
    run = measure(head, [str(SUITE)], options(arguments))
    write(arguments.json, {"saved": why, "wrong": {"head": run.wrong}, "records": {"head": [run.record]}})
    publish(summary.saved(why, head, run), arguments)
    annotate([summary.annotation("warning", "nothing to compare with", why)])
    print(f"saved {arguments.json}, compared with nothing: {why}")
    for name, reason in run.wrong.items():
        print(f"wrong: {name}: {reason}")
    return int(bool(run.wrong))


def alternating(sides, arguments, tests, earlier):
    """Runs of both sides: base, head, head, base, base, head, ...; the earlier measurements stay in the file."""
    runs = {side.name: [] for side in sides}
    for turn in range(arguments.rounds):
        print(f"round {turn + 1} of {arguments.rounds}: {' '.join(tests)}", file=sys.stderr, flush=True)
        for side in sides if turn % 2 == 0 else sides[::-1]:
            before = runs[side.name]
            try:
                run = measure(side, tests, [*options(arguments), *known(before)])
            except Unusable as reason:
                reason.after = turn
                raise
            before.append(informed(run, before[0]) if before else run)
        # after every round: a job that is cut short keeps what it measured
        write(arguments.json, samples([*earlier, runs], sides))
        if not all(of_side[0].record["benchmarks"] for of_side in runs.values()):
            # one side has nothing that is right, and nothing can be compared
            break
    return runs


def samples(measurements, sides):
    """Every sample of both sides, as plain data."""
    first, *again = [{side: [run.record for run in of_side] for side, of_side in runs.items()} for runs in measurements]
    return {"commits": {side.name: side.commit for side in sides}, "records": first, "records_again": again}


def options(arguments):
    """Of pytest, for both sides."""
    chosen = [f"--benchmark-max-time={arguments.seconds}", "--benchmark-min-rounds=5"]
    chosen += ["--device", arguments.device] if arguments.device else []
    chosen += ["--benchmark-timer=time.process_time"] if arguments.shared else []
    return [*chosen, "-k", arguments.only] if arguments.only else chosen


def write(path, found):
    path.write_text(json.dumps(found, indent=1, allow_nan=False) + "\n")


def publish(page, arguments):
    """Append the page to the file that was asked for and to the page of the job."""
    for path in (arguments.summary, os.environ.get("GITHUB_STEP_SUMMARY")):
        if path:
            with Path(path).open("a") as file:
                file.write(page)


def annotate(lines):
    if os.environ.get("GITHUB_ACTIONS") == "true":
        print(*lines, sep="\n")


def refuse(message):
    print(f"python -m benchmarks.against: {message}", file=sys.stderr)
    return 2
