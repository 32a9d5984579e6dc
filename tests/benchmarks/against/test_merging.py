"""All processes of a side, as pytest-benchmark reads them."""

from benchmarks.against.merging import merged, theirs
from tests.benchmarks.against.synthetic import ROUNDS, runs


def test_pytest_benchmark_compares_the_same_records():
    found = runs(1.3)
    records = {side: merged([run.record for run in of_side]) for side, of_side in found.items()}
    quick = records["head"]["benchmarks"][0]["stats"]
    assert quick["rounds"] == 8 * ROUNDS
    assert quick["min"] <= quick["q1"] <= quick["median"] <= quick["q3"] <= quick["max"]
    (line,) = [line for line in theirs(records).splitlines() if "quick/torch" in line]
    assert 20 < float(line.split()[-1].removesuffix("%")) < 40
