"""What is counted at each request and each batch, added up in plain lists and told to prometheus_client now and then.

A histogram of prometheus_client takes two locks and searches its buckets at each observation, which at thousands of
requests a second is a cost that shows. A tally keeps the values; ``Tallies.settle`` tells them all at once, before
anybody reads the registry and, where several processes share a folder of metrics, a moment after the first.
"""

import asyncio
from collections.abc import Iterable
from weakref import WeakSet

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric

_SOON_S = 0.05
_MANY = 1000
"""Values are kept until there are so many, at most."""


class HistogramTally:
    """Stands for a labelled histogram; on the event loop alone."""

    __slots__ = ("__weakref__", "_counter", "_histogram", "_values", "observe")

    def __init__(self, histogram: Histogram, counter: Counter | None = None) -> None:
        """``counter``: counts the values as well."""
        self._histogram = histogram
        self._counter = counter
        self._values: list[float] = []
        self.observe = self._values.append
        """Counts a value."""

    def observe_all(self, values: Iterable[float]) -> None:
        """Count several."""
        self._values += values

    def settle(self) -> None:
        """Tell the histogram of the values since the last time."""
        if not self._values:
            return
        values = self._values[:]
        del self._values[: len(values)]
        bounds = self._histogram._upper_bounds  # noqa: SLF001 - it has no way of taking several values, and is pinned
        counts = np.bincount(np.searchsorted(bounds, values))  # of the first buckets, up to the last that got any
        for at in counts.nonzero()[0].tolist():
            self._histogram._buckets[at].inc(int(counts[at]))  # noqa: SLF001
        self._histogram._sum.inc(sum(values))  # noqa: SLF001
        if self._counter is not None:
            self._counter.inc(len(values))


class SumTally:
    """Stands for a labelled counter, or for a gauge that goes up and down; on the event loop alone."""

    __slots__ = ("__weakref__", "_metric", "amount")

    def __init__(self, metric: Counter | Gauge) -> None:
        self._metric = metric
        self.amount = 0.0
        """What came since the metric was told; those who count at each request add to it without a call."""

    def inc(self, amount: float = 1) -> None:
        """Add so much."""
        self.amount += amount

    def settle(self) -> None:
        """Tell the metric of what came since the last time."""
        if self.amount:
            added, self.amount = self.amount, 0.0
            self._metric.inc(added)


class LastTally:
    """Stands for a labelled gauge that is set again and again; on the event loop alone."""

    __slots__ = ("__weakref__", "_gauge", "_value")

    def __init__(self, gauge: Gauge) -> None:
        self._gauge = gauge
        self._value: float | None = None

    def set(self, value: float) -> None:
        """Say what it is now."""
        self._value = value

    def settle(self) -> None:
        """Tell the gauge, where something was said since the last time."""
        if self._value is not None:
            value, self._value = self._value, None
            self._gauge.set(value)


class Tallies(CollectorRegistry):
    """A registry whose tallies are settled before it is read; they live as long as whoever counts with them."""

    def __init__(self, *, shared: bool = False) -> None:
        """``shared``: whether other processes tell of what is counted here, and must be told soon."""
        super().__init__()
        self._tallies: WeakSet[HistogramTally | SumTally | LastTally] = WeakSet()
        self._shared = shared
        self.counted = 0
        """How often ``settle_soon`` was called since the last time."""

    def histogram(self, histogram: Histogram, counter: Counter | None = None) -> HistogramTally:
        """Return a tally that stands for a labelled histogram, and for a counter of its values."""
        tally = HistogramTally(histogram, counter)
        self._tallies.add(tally)
        return tally

    def counter(self, counter: Counter) -> SumTally:
        """Return a tally that stands for a labelled counter."""
        return self._sum_of(counter)

    def gauge(self, gauge: Gauge) -> SumTally:
        """Return a tally that stands for a labelled gauge."""
        return self._sum_of(gauge)

    def last(self, gauge: Gauge) -> LastTally:
        """Return a tally that stands for a labelled gauge of which only the last value counts."""
        tally = LastTally(gauge)
        self._tallies.add(tally)
        return tally

    def _sum_of(self, metric: Counter | Gauge) -> SumTally:
        tally = SumTally(metric)
        self._tallies.add(tally)
        return tally

    def settle(self) -> None:
        """Tell everything that was counted."""
        self.counted = 0
        for tally in list(self._tallies):
            tally.settle()

    def settle_soon(self) -> None:
        """Settle once this was called often enough or, where processes share, in a moment; on the event loop."""
        self.counted += 1
        if self.counted == 1 and self._shared:
            asyncio.get_running_loop().call_later(_SOON_S, self.settle)
        elif self.counted >= _MANY:
            self.settle()

    def collect(self) -> Iterable[Metric]:
        """Return every metric, settled."""
        self.settle()
        return super().collect()
