"""Raw samples: what is read off them, and their way through JSON."""

import json

import pytest

from ndbench.timing import Samples


def test_quartiles():
    samples = Samples((4.0, 1.0, 3.0, 2.0, 5.0))
    assert samples.quartiles == (1.5, 3.0, 4.5)
    assert samples.typical == 1.5


def test_times_that_are_not_above_zero_have_no_ratio():
    assert Samples((1e-9, 2.0)).measurable
    assert not Samples((0.0, 2.0, 3.0)).measurable
    assert not Samples((3.0, 2.0, -1.0)).measurable


def test_the_way_through_json_and_back():
    samples = Samples((0.1 + 0.2, 1e-9), captured=True, provenance={"device": "none", "threads": 1}, rounds="abc")
    assert Samples.of_record(json.loads(json.dumps(samples.as_record()))) == samples


def test_a_record_of_seconds_alone_is_enough():
    assert Samples.of_record({"seconds": [1, 2]}) == Samples((1.0, 2.0))
    with pytest.raises(KeyError, match="seconds"):
        Samples.of_record({})
