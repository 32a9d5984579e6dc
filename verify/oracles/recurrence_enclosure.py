"""T-step maps of any symmetric matrix: the matrix recurrence itself in ball arithmetic.

Nothing is assumed of the spectrum, which may be repeated. Radii grow by a factor per step, so the precision is
doubled until the result is narrow.
"""

import numpy as np
from numpy.typing import NDArray

from ndbench.targets import Steps
from ndbench.verify.oracles.balls import NARROW, BallMatrices, Enclosure, ball_matrix, narrow_enclosure
from ndbench.verify.oracles.recurrences import t_steps

BITS = (128, 256, 512, 1024)


def enclose_recurrence(A: NDArray[np.float64], target: Steps) -> Enclosure:
    """Return an enclosure of the T-step map at A.

    Raises:
        OracleUnavailable: if it stays wide at the last of `BITS`: A is singular to that precision for an iteration
            that inverts, or the steps are very many.
    """
    source = f"{target.iteration} in ball arithmetic"
    return narrow_enclosure(lambda: t_steps(ball_matrix(A), target, BallMatrices()), BITS, NARROW, source)
