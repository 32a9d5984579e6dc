"""Distribution-free confidence intervals of a shift, by ranks: exact for few samples, deterministic, no resampling."""

import math
from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

EXACT_PAIRS = 60
"""Up to so many differences the distribution of the signed rank sum is computed exactly; it is normal beyond."""
EXACT_COUNT = 2500
"""Up to so many pairs of samples that of the rank sum is."""


@dataclass(frozen=True)
class Interval:
    """An estimate of a shift and the interval that holds it.

    Attributes:
        low: its lower end, -inf where so few samples cannot exclude anything.
        estimate: the Hodges-Lehmann estimate, NaN if there is none.
        high: its upper end.
    """

    low: float
    estimate: float
    high: float

    @property
    def width(self) -> float:
        """From end to end."""
        return self.high - self.low

    def widened(self, factor: float) -> "Interval":
        """Both ends as many times as far from the estimate."""
        return Interval(
            self.estimate - factor * (self.estimate - self.low),
            self.estimate,
            self.estimate + factor * (self.high - self.estimate),
        )


def of_differences(d: Array, alpha: float) -> Interval:
    """The center of a symmetric distribution from n independent draws d, of paired samples the differences.

    The interval is [w_(k+1), w_(N-k)] of the N = n (n + 1) / 2 ordered Walsh averages (d_i + d_j) / 2, i <= j, with the
    largest k such that the Wilcoxon signed rank sum is at most k with probability alpha / 2 or less. Without such a k
    (2^-n > alpha / 2) it is infinite. The estimate is the median of the averages.

    Args:
        d: shape (n,).
        alpha: probability with which the interval may miss the center.

    Example:
        >>> import numpy as np
        >>> of_differences(np.arange(1.0, 8.0), 0.05)
        Interval(low=2.0, estimate=4.0, high=6.0)

    References:
        Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, Wiley 2014, sections 3.2 and 3.3.
    """
    i, j = np.triu_indices(len(d))
    return _between(np.sort((d[i] + d[j]) / 2), signed_rank_quantile(len(d), alpha / 2))


def of_samples(x: Array, y: Array, alpha: float) -> Interval:
    """The shift of y against x from independent draws of two distributions that differ in nothing else.

    The interval is [u_(k+1), u_(N-k)] of the N = m n ordered differences y_j - x_i, with the largest k such that the
    Mann-Whitney count is at most k with probability alpha / 2 or less. The estimate is the median of the differences.

    Args:
        x: shape (m,).
        y: shape (n,).
        alpha: probability with which the interval may miss the shift.

    Example:
        >>> import numpy as np
        >>> of_samples(np.arange(5.0), np.arange(5.0) + 10, 0.05)
        Interval(low=7.0, estimate=10.0, high=13.0)

    References:
        Hollander, Wolfe and Chicken, Nonparametric Statistical Methods, 3rd edition, Wiley 2014, sections 4.2 and 4.3.
    """
    return _between(np.sort((y[:, None] - x).ravel()), rank_sum_quantile(len(x), len(y), alpha / 2))


def _between(ordered: Array, k: int) -> Interval:
    """From the (k + 1)-th smallest to the (k + 1)-th largest."""
    low, high = (float(ordered[k]), float(ordered[-k - 1])) if k >= 0 else (-math.inf, math.inf)
    return Interval(low, float(np.median(ordered)), high)


@cache
def signed_rank_quantile(n: int, tail: float) -> int:
    """The largest k with P(W <= k) <= tail for the signed rank sum W of n differences; -1 if there is none.

    Example:
        >>> signed_rank_quantile(10, 0.025), signed_rank_quantile(5, 0.025)
        (8, -1)
    """
    if n > EXACT_PAIRS:
        return _normal_quantile(n * (n + 1) / 4, n * (n + 1) * (2 * n + 1) / 24, tail)
    # every rank has a positive sign with probability 1/2
    probability = np.ones(1)
    for rank in range(1, n + 1):
        without = np.pad(probability, (0, rank))
        probability = (without + np.pad(probability, (rank, 0))) / 2
    return _largest_below(probability, tail)


@cache
def rank_sum_quantile(m: int, n: int, tail: float) -> int:
    """The largest k with P(U <= k) <= tail for the Mann-Whitney count U of m and n samples; -1 if there is none.

    Example:
        >>> rank_sum_quantile(5, 5, 0.025), rank_sum_quantile(3, 3, 0.025)
        (2, -1)
    """
    if m * n > EXACT_COUNT:
        return _normal_quantile(m * n / 2, m * n * (m + n + 1) / 12, tail)
    # the largest of m + n values is one of the m with probability m / (m + n), and then exceeds all n others
    rows = [np.ones(1) for _ in range(n + 1)]
    for i in range(1, m + 1):
        row = [np.ones(1)]
        for j in range(1, n + 1):
            first = np.pad(rows[j], (j, 0)) * (i / (i + j))
            second = np.pad(row[-1], (0, len(first) - len(row[-1]))) * (j / (i + j))
            row.append(first + second)
        rows = row
    return _largest_below(rows[n], tail)


def _largest_below(probability: Array, tail: float) -> int:
    return int(np.searchsorted(np.cumsum(probability), tail, side="right")) - 1


def _normal_quantile(mean: float, variance: float, tail: float) -> int:
    return math.floor(mean + NormalDist().inv_cdf(tail) * math.sqrt(variance) - 0.5)


def correlation_time(*series: Array, errors: float = 0.0) -> float:
    """The factor tau, at least 1, by which correlation between samples raises the variance of their mean.

    tau = (1 + r) / (1 - r) of an autoregressive process whose successive samples have the correlation r, the mean of
    that of all series. It comes from that of the midranks, r = 2 sin(pi r_ranks / 6) for normal samples, which outliers
    cannot hide; and (1 + 3 r) / n is added, by which the estimate falls short on average. r is 0.9 at most.

    Args:
        series: shape (n,) each, in the order in which they were taken.
        errors: of r, sqrt((1 - r^2) / n) each, to add: where too small a tau would mislead.

    Example:
        >>> import numpy as np
        >>> correlation_time(np.array([1.0, 5.0, 2.0, 4.0, 3.0]))
        1.0

    References:
        Bayley and Hammersley, The "effective" number of independent observations in an autocorrelated time series,
        1946. Kendall, Note on bias in the estimation of autocorrelation, Biometrika 41, 1954.
        Kruskal, Ordinal measures of association, JASA 53, 1958, for the correlation of ranks.
    """
    r = sum(map(_successive, series)) / len(series)
    r = min(r + errors * math.sqrt(max(1 - r * r, 0) / len(series[0])), 0.9)
    return max(1.0, (1 + r) / (1 - r))


def correlation(x: Array, y: Array) -> float:
    """That of normal samples whose midranks are as correlated as those of x and y; 0 if either is constant.

    Example:
        >>> import numpy as np
        >>> round(correlation(np.arange(5.0), np.exp(np.arange(5.0))), 3), correlation(np.ones(5), np.arange(5.0))
        (1.0, 0.0)
    """
    a, b = _midranks(x), _midranks(y)
    size = math.sqrt(float(a @ a) * float(b @ b))
    return 2 * math.sin(math.pi / 6 * float(a @ b) / size) if size > 0 else 0.0


def _successive(d: Array) -> float:
    """The correlation of successive samples; 0 for constants."""
    n, ranks = len(d), _midranks(d)
    size = float(ranks @ ranks)
    if size == 0:
        return 0.0
    r = 2 * math.sin(math.pi / 6 * float(ranks[1:] @ ranks[:-1]) / size)
    return r + (1 + 3 * r) / n


def _midranks(d: Array) -> Array:
    """Ranks less their mean; equal samples share the mean of theirs."""
    _, place, counts = np.unique(d, return_inverse=True, return_counts=True)
    ranks: Array = np.cumsum(counts) - (counts - 1) / 2
    return ranks[place] - (len(d) + 1) / 2
