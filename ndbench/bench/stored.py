"""A run that was stored, and what a new one says against it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ndbench.bench.run import Row
from ndbench.timing import Comparison, Incomparable, Samples, compare
from ndbench.timing.comparison import PRECISION, require_comparable

NOTE = """The stored run is another job: what the machine did between the two is in no interval. A difference below the
noise that a contender has from itself within one job is none, and one above it may still be the machine's. To judge a
change, time both versions in one job."""

Key = tuple[str, str, str]


class Unreadable(ValueError):
    """The file holds no run of `ndbench bench`."""


@dataclass(frozen=True)
class Change:
    """A row of the new run against the same row of the stored one.

    Attributes:
        row: of the new run.
        base: samples of the stored one.
        comparison: of the two, whose verdict says nothing of two jobs; None where either took less than can be
            measured, or they were timed in other ways.
        refusal: how the ways differ.
    """

    row: Row
    base: Samples
    comparison: Comparison | None
    refusal: str = ""


@dataclass(frozen=True)
class Stored:
    """A run read from a file.

    Attributes:
        environment: where it ran.
        rows: by workload, contender and direction, those that were timed.
    """

    environment: Mapping[str, Any]
    rows: Mapping[Key, Mapping[str, Any]]

    @classmethod
    def read(cls, path: Path) -> "Stored":
        """Read what `ndbench bench --json` wrote.

        Raises:
            Unreadable: if the file cannot be read, or holds something else.
        """
        try:
            found = json.loads(path.read_text())
            rows = {(row["workload"], row["contender"], row["direction"]): row for row in found["rows"]}
            return cls(found["environment"], {key: row for key, row in rows.items() if row["seconds"]})
        except OSError as error:
            raise Unreadable(error.strerror or str(error)) from error
        except (ValueError, KeyError, TypeError) as error:
            raise Unreadable("it is no file that ndbench bench --json wrote") from error

    def require_comparable(self, environment: Mapping[str, Any], device: str) -> None:
        """Refuse a run on another device.

        Raises:
            Incomparable: with what differs.
        """
        timed_on = {self._samples(key).provenance.get("timed_on") for key in self.rows} - {None}
        ours = {"timed_on": timed_on.pop()} if timed_on else {}
        require_comparable({**self._place(), **ours}, {**environment, "timed_on": device})

    def changes(self, rows: Iterable[Row]) -> Iterator[Change]:
        """Compare every row that both have."""
        for row in rows:
            key = row.workload, row.contender, row.direction
            if key in self.rows and row.samples:
                base = self._samples(key)
                try:
                    yield Change(row, base, _comparison(base, row.samples))
                except Incomparable as refusal:
                    yield Change(row, base, None, str(refusal))

    def _samples(self, key: Key) -> Samples:
        row = self.rows[key]
        return Samples.of_record({**row, "provenance": {**self._place(), **row.get("how", {})}, "rounds": ""})

    def _place(self) -> dict[str, Any]:
        """The environment without PyTorch's settings of precision: every contender has its own."""
        return {name: value for name, value in self.environment.items() if name not in PRECISION}


def _comparison(base: Samples, head: Samples) -> Comparison | None:
    if not (base.measurable and head.measurable):
        return None
    return compare(base, head, paired=False)
