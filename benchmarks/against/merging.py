"""All processes of a side as one record of pytest-benchmark, which its own comparison reads."""

import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def merged(records):
    """The first record, with the samples of all and their statistics."""
    samples = {}
    for record in records:
        for benchmark in record["benchmarks"]:
            samples.setdefault(benchmark["fullname"], (benchmark, []))[1].extend(benchmark["stats"]["data"])
    benchmarks = [{**benchmark, "stats": described(data)} for benchmark, data in samples.values()]
    return {**records[0], "benchmarks": benchmarks}


def latest(records):
    """One record of several merged ones: of what is in more than one, the last."""
    found = {benchmark["fullname"]: benchmark for record in records for benchmark in record["benchmarks"]}
    return {**records[0], "benchmarks": list(found.values())}


def described(data):
    """What pytest-benchmark's tables are made of."""
    q1, median, q3 = statistics.quantiles(data)
    mean = statistics.mean(data)
    spread = {"stddev": statistics.stdev(data), "q1": q1, "q3": q3, "iqr": q3 - q1, "outliers": ""}
    counts = {"rounds": len(data), "iterations": 1, "ops": 1 / mean, "total": sum(data)}
    return {"min": min(data), "max": max(data), "mean": mean, "median": median, **spread, **counts, "data": data}


def theirs(records):
    """What `pytest-benchmark compare` prints of the records of both sides."""
    command = [sys.executable, "-m", "pytest_benchmark", "compare", "--between=min,median", "--sort=fullname"]
    command += ["--group-by=fullfunc", "--name=short"]
    with tempfile.TemporaryDirectory(prefix="ndbench-compare-") as folder:
        paths = [Path(folder) / f"{side}.json" for side in records]
        for path, record in zip(paths, records.values(), strict=True):
            path.write_text(json.dumps(record))
        command += map(str, paths)
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
