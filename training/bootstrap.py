"""How sure a difference is: the paired bootstrap (Berg-Kirkpatrick et al. 2012) over the rows of a split."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from training.config import Metric
from training.scores import UNANSWERED, of_counts, within

RESAMPLES = 1000
LEVEL = 0.95
SEED = 13

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure measured on all rows, and where the middle 95% of its resamples lie."""

    value: float
    low: float
    high: float


def difference(
    truth: Ints, ours: Ints, theirs: Ints, classes: NDArray[np.bool_], metric: Metric, *, resamples: int = RESAMPLES
) -> Interval:
    """Return our figure less theirs on the same rows: truth, ours and theirs are int64[rows]."""
    first, second = _tables(truth, ours, theirs, classes, resamples)
    gaps = of_counts(first, metric) - of_counts(second, metric)  # [1 + resamples]
    return _interval(gaps)


def alone(
    truth: Ints, ours: Ints, classes: NDArray[np.bool_], metric: Metric, *, resamples: int = RESAMPLES
) -> Interval:
    """Return our figure on its own: truth and ours are int64[rows]."""
    first, _ = _tables(truth, ours, ours, classes, resamples)
    return _interval(of_counts(first, metric))


def of_means(ours: Floats, theirs: Floats, *, resamples: int = RESAMPLES) -> Interval:
    """Return the mean of ours float64[rows] less that of theirs on the same rows, for figures that are means."""
    gaps = ours - theirs  # [rows]
    rng = np.random.default_rng(SEED)
    drawn = [gaps[rng.integers(0, len(gaps), len(gaps))].mean() for _ in range(resamples)]
    return _interval(np.array([gaps.mean(), *drawn]))


def _tables(truth: Ints, ours: Ints, theirs: Ints, classes: NDArray[np.bool_], resamples: int) -> tuple[Ints, Ints]:
    """Return two confusion tables int64[1 + resamples, C, C + 1]: of the rows themselves, then of each resample.

    Only the cell (true, ours, theirs) of a row matters to a figure, so that drawing rows with replacement is one
    multinomial draw over the cells that occur. The last column holds unanswered rows.
    """
    names = np.append(np.flatnonzero(classes), len(classes))
    known = (within(one, classes) for one in (truth, ours, theirs))
    places = [np.searchsorted(names, np.where(one == UNANSWERED, len(classes), one)) for one in known]  # 3 x [rows]
    cells, counts = np.unique(np.stack(places), axis=1, return_counts=True)  # [3, K], [K]
    drawn = np.random.default_rng(SEED).multinomial(len(truth), counts / len(truth), size=resamples)  # [R, K]
    drawn = np.vstack([counts, drawn])  # [1 + R, K]
    width = len(names)
    tables = []
    for decided in (1, 2):
        table = np.zeros((len(drawn), width - 1, width), dtype=np.int64)
        for column, (true, said) in enumerate(zip(cells[0], cells[decided], strict=True)):
            table[:, true, said] += drawn[:, column]
        tables.append(table)
    return tables[0], tables[1]


def _interval(values: NDArray[np.float64]) -> Interval:
    low, high = np.quantile(values[1:], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(float(values[0]), float(low), float(high))
