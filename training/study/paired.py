"""Two ways to train, compared seed by seed: the same seed draws the same first weights and rows for both."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from scipy.stats import t as student  # type: ignore[import-untyped]

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Spread:
    """Mean and sample standard deviation of some figures; one figure alone has no deviation."""

    mean: float
    sd: float | None


@dataclass(frozen=True, slots=True)
class Paired:
    """The mean of the seeds' differences, and its two-sided t-interval; one pair alone has none."""

    pairs: int
    difference: float
    low: float | None
    high: float | None

    @property
    def clear(self) -> bool:
        """Say whether the interval leaves out zero."""
        return self.low is not None and self.high is not None and (self.low > 0 or self.high < 0)


def spread(figures: Sequence[float]) -> Spread:
    """Return mean and deviation of at least one figure."""
    return Spread(fmean(figures), stdev(figures) if len(figures) > 1 else None)


def paired(off: Mapping[int, float], on: Mapping[int, float]) -> Paired | None:
    """Compare figures by seed, over the seeds that both have; `None` where there is none."""
    differences = [on[seed] - off[seed] for seed in sorted(off.keys() & on.keys())]
    if not differences:
        return None
    found = spread(differences)
    if found.sd is None:
        return Paired(1, found.mean, None, None)
    count = len(differences)
    half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1)) * found.sd / math.sqrt(count)
    return Paired(count, found.mean, found.mean - half, found.mean + half)
