"""What is counted at each request, added up in plain lists and told to prometheus_client now and then.

A histogram of prometheus_client takes two locks and searches its buckets at each observation, which at thousands of
requests a second is a cost that shows. A tally keeps the values; ``Tallies.settle`` tells them all at once, before
anybody reads the registry and, where several processes share a folder of metrics, a moment after the first.
"""

import asyncio
from bisect import bisect_left
from collections import Counter as Counts
from collections.abc import Iterable
from weakref import WeakSet

from prometheus_client import CollectorRegistry, Counter, Histogram, Metric

_SOON_S = 0.05
_MANY = 1000
"""Values are kept until there are so many, at most."""


class HistogramTally:
    """Stands for a labelled histogram; on the event loop alone."""

    __slots__ = ("__weakref__", "_histogram", "_values")

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._values: list[float] = []

    def observe(self, value: float) -> None:
        """Count a value."""
        self._values.append(value)

    def settle(self) -> None:
        """Tell the histogram of the values since the last time."""
        if not self._values:
            return
        values, self._values = self._values, []
        bounds = self._histogram._upper_bounds  # noqa: SLF001 - it has no way of taking several values, and is pinned
        for at, count in Counts(bisect_left(bounds, value) for value in values).items():
            self._histogram._buckets[at].inc(count)  # noqa: SLF001
        self._histogram._sum.inc(sum(values))  # noqa: SLF001


class CounterTally:
    """Stands for a labelled counter; on the event loop alone."""

    __slots__ = ("__weakref__", "_count", "_counter")

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._count = 0.0

    def inc(self, amount: float = 1) -> None:
        """Count so many."""
        self._count += amount

    def settle(self) -> None:
        """Tell the counter of what came since the last time."""
        if self._count:
            count, self._count = self._count, 0.0
            self._counter.inc(count)


class Tallies(CollectorRegistry):
    """A registry whose tallies are settled before it is read; they live as long as whoever counts with them."""

    def __init__(self, *, shared: bool = False) -> None:
        """``shared``: whether other processes tell of what is counted here, and must be told soon."""
        super().__init__()
        self._tallies: WeakSet[HistogramTally | CounterTally] = WeakSet()
        self._shared = shared
        self._counted = 0

    def histogram(self, histogram: Histogram) -> HistogramTally:
        """Return a tally that stands for a labelled histogram."""
        tally = HistogramTally(histogram)
        self._tallies.add(tally)
        return tally

    def counter(self, counter: Counter) -> CounterTally:
        """Return a tally that stands for a labelled counter."""
        tally = CounterTally(counter)
        self._tallies.add(tally)
        return tally

    def settle(self) -> None:
        """Tell everything that was counted."""
        self._counted = 0
        for tally in list(self._tallies):
            tally.settle()

    def settle_soon(self) -> None:
        """Settle once this was called often enough or, where processes share, in a moment; on the event loop."""
        self._counted += 1
        if self._counted == 1 and self._shared:
            asyncio.get_running_loop().call_later(_SOON_S, self.settle)
        elif self._counted >= _MANY:
            self.settle()

    def collect(self) -> Iterable[Metric]:
        """Return every metric, settled."""
        self.settle()
        return super().collect()
