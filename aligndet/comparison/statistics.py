"""What paired runs allow one to say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

HELPED, NO_EVIDENCE, HURT = "helped", "no evidence", "hurt"
MIN_SEEDS = 3

#: Detectors below this AP (in points, both arms) have learnt nothing yet, so their difference means nothing.
MIN_AP = 0.5


@dataclass(frozen=True)
class Spread:
    """Holds mean and sample standard deviation (n - 1; 0 for one value) of ``n`` values."""

    n: int
    mean: float
    std: float


@dataclass(frozen=True)
class PairedDifference:
    """Holds the mean difference of pairs, start minus baseline, with its 95 % interval.

    Attributes:
        n: pairs. mean: mean difference.
        low, high: Student's t interval with n - 1 degrees of freedom; infinite for fewer than two pairs.
        best: the higher of the two arms' means.
        verdict: ``helped`` / ``no evidence`` / ``hurt``: the interval is above, around or below 0; with fewer
            than three pairs, or where both arms stay below :data:`MIN_AP`, always ``no evidence``.
    """

    n: int
    mean: float
    low: float
    high: float
    best: float = math.inf

    @property
    def verdict(self) -> str:
        if self.n < MIN_SEEDS:
            return f"{NO_EVIDENCE} (too few seeds)"
        if self.best < MIN_AP:
            return f"{NO_EVIDENCE} (AP too low)"
        if self.low > 0:
            return HELPED
        return HURT if self.high < 0 else NO_EVIDENCE


def spread(values: Sequence[float]) -> Spread:
    """Compute mean and spread.

    Raises:
        ValueError: no values.
    """
    if not values:
        raise ValueError("no values to summarise")
    n = len(values)
    mean = math.fsum(values) / n
    std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (n - 1)) if n > 1 else 0.0
    return Spread(n, mean, std)


def paired_difference(
    start: Sequence[float], baseline: Sequence[float], confidence: float = 0.95
) -> PairedDifference:
    """Compare two arms whose ``i``-th runs shared labels, data order and training seed.

    Raises:
        ValueError: different lengths or nothing to compare.
    """
    if len(start) != len(baseline):
        raise ValueError(f"{len(start)} and {len(baseline)} runs cannot be paired")
    gain = spread([a - b for a, b in zip(start, baseline, strict=True)])
    if gain.n < 2:
        return PairedDifference(gain.n, gain.mean, -math.inf, math.inf)
    best = max(spread(start).mean, spread(baseline).mean)
    low, high = gain.mean, gain.mean  # equal differences have no spread, and no t
    if gain.std > 0:
        low, high = stats.ttest_rel(start, baseline).confidence_interval(confidence)
    return PairedDifference(gain.n, gain.mean, float(low), float(high), best)
