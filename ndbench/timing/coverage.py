"""How often intervals of correlated samples miss the truth: `python -m ndbench.timing.coverage` measures it.

On synthetic pairs whose correlation is known, of successive samples or within rounds, thirty samples each and as few as
the timer takes. A miss is an interval of equals that does not hold 1, a false alarm a verdict "faster" or "slower" on
them. The exit status is 1 if a row has 2 % of false alarms.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ndbench.timing.comparison import Outcome, compare
from ndbench.timing.rounds import FEWEST
from ndbench.timing.synthetic import CORRELATED, Noise, pair

MOST = 0.02
"""False alarms are fewer."""
ROWS = tuple(
    (noise, samples, together)
    for noise in CORRELATED
    for samples in (FEWEST, 30)
    for together in ((True,) if noise.shared else (True, False))
)
"""Kind, samples, and whether they are of the same rounds."""


@dataclass(frozen=True)
class Coverage:
    """Shares of synthetic pairs of one kind.

    Attributes:
        missed: intervals of equals that do not hold 1.
        alarms: equals that are called faster or slower.
        same: equals that are called the same.
        detected: slowdowns by a tenth that are called slower.
    """

    missed: float
    alarms: float
    same: float
    detected: float


def coverage(noise: Noise, pairs: int, seed: int = 1000, *, together: bool = True, samples: int = 30) -> Coverage:
    """The shares among so many pairs of so many samples, with seeds from this one on.

    Example:
        >>> found = coverage(CORRELATED[0], pairs=20)
        >>> found.missed, found.alarms, found.detected
        (0.0, 0.0, 1.0)
    """
    missed = alarms = same = detected = 0
    for case in range(seed, seed + pairs):
        base, head = pair(noise, 1.0, case, samples, together=together)
        equals = compare(base, head)
        missed += not equals.interval[0] <= 1 <= equals.interval[1]
        alarms += equals.verdict in (Outcome.FASTER, Outcome.SLOWER)
        same += equals.verdict == Outcome.SAME
        detected += compare(*pair(noise, 1.1, case, samples, together=together)).verdict == Outcome.SLOWER
    return Coverage(missed / pairs, alarms / pairs, same / pairs, detected / pairs)


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser("python -m ndbench.timing.coverage", description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000, help="for each row, at least 1")
    parser.add_argument("--seed", type=int, default=1000, help="of the first pair")
    arguments = parser.parse_args(argv)
    if arguments.pairs < 1:
        parser.error(f"--pairs must be at least 1; got {arguments.pairs}")
    if arguments.seed < 0:
        parser.error(f"--seed must not be negative; got {arguments.seed}")
    columns = ("correlation", "samples", "", "missed", "false alarms", "same", "a tenth detected")
    print(f"| {' | '.join(columns)} |\n|{'---|' * len(columns)}")  # noqa: T201
    failed = False
    for noise, samples, together in ROWS:
        found = coverage(noise, arguments.pairs, arguments.seed, together=together, samples=samples)
        shares = (found.missed, found.alarms, found.same, found.detected)
        cells = noise.name, str(samples), "same rounds" if together else "apart", *(f"{share:.2%}" for share in shares)
        print(f"| {' | '.join(cells)} |", flush=True)  # noqa: T201
        failed |= found.alarms >= MOST
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
