"""What a batch takes, learnt from those that ran.

A recurrent graph costs something a run, something a step (its weights are read at each), something a row and something
a cell (rows x longest). The four are fitted to the runs of late, so that the figures are those of this machine, with
whoever else is at work on it, and follow it where that changes.
"""

from collections.abc import Callable, Hashable, Sequence
from operator import mul
from weakref import WeakKeyDictionary, ref

_TERMS = range(4)
_SQUARES = ((0, 1, 2, 3), (1, 4, 5, 6), (2, 5, 7, 8), (3, 6, 8, 9))
"""Where the sum over the product of two terms stands among the sums; those with the seconds are behind them."""
_PRODUCTS = (10, 11, 12, 13)
_MEMORY = 0.99
"""What a run still counts for at the next one: the last hundred or so decide."""

_SURPRISE = 0.5
"""Beyond this share of its forecast an error counts no more: one run that was held up says little of the next."""

_SOON = 0.5
"""A run that took less than this share of its forecast counts for all before it: none is too quick by chance."""

_EASE = 0.02
"""How strongly the figures stay where they are, where the runs of late do not tell them apart."""

_SWEEPS = 4
_EVERY, _AT_FIRST = 4, 32
"""Every so many runs the figures are improved, and at each of the first few: it costs more than counting a run."""

_LEARNT = 8
"""So many runs make a forecast to rely on: the first alone may have been held up a hundredfold."""

Shape = tuple[float, float, float, float]


def _shape(rows: int, width: int) -> Shape:
    """Return what a batch has of each term, scaled so that the four coefficients are of like size."""
    return 1.0, width / 64, rows / 8, rows * width / 512


class RunCost:
    """Seconds that a run takes by its rows and its width: weighted least squares over the runs of late.

    Errors count as shares of the forecast, those of long runs no more than those of short ones. No coefficient is below
    zero, so that more work never costs less. One thread at a time may observe; any may ask.
    """

    def __init__(self, cost: Sequence[float] = (0.0,) * 4) -> None:
        """Start from the coefficients of another, or from nothing: then a run is forecast to take no time."""
        self._cost = list(cost)
        self._sums = [0.0] * 14
        self._runs = 0

    @property
    def cost(self) -> Sequence[float]:
        """The four coefficients: of a run, of 64 steps, of 8 rows and of 512 cells, in seconds."""
        return tuple(self._cost)

    def seconds(self, rows: int, width: int) -> float:
        """Return the forecast for a batch of so many rows, padded to ``width`` tokens."""
        fixed, step, row, cell = self._cost
        return fixed + step * (width / 64) + row * (rows / 8) + cell * (rows * width / 512)

    def observe(self, rows: int, width: int, seconds: float) -> None:
        """Learn of a run that took so long."""
        if seconds <= 0:
            return
        shape, forecast = _shape(rows, width), self.seconds(rows, width)
        if forecast <= 0:
            self._cost = [seconds / 4 / part for part in shape]
            forecast = seconds
        surprise = max(_SURPRISE, seconds / forecast - 1)
        scale = min(forecast, seconds / _SOON)
        weight = _SURPRISE / surprise / (scale * scale)
        _, step, row, cell = shape
        squares = (1.0, step, row, cell, step * step, step * row, step * cell, row * row, row * cell, cell * cell)
        products = (seconds, step * seconds, row * seconds, cell * seconds)
        news = zip(self._sums, squares + products, strict=True)
        self._sums = [_MEMORY * known + weight * new for known, new in news]
        self._runs += 1
        if self._runs <= _AT_FIRST or self._runs % _EVERY == 0:
            self._refit()

    def _refit(self) -> None:
        """Improve one coefficient after the other, from where they are; none falls below zero."""
        cost = list(self._cost)
        squares = [[self._sums[place] for place in places] for places in _SQUARES]
        products = [self._sums[place] for place in _PRODUCTS]
        for _ in range(_SWEEPS):
            for at in _TERMS:
                own = squares[at][at]
                ease = _EASE * own
                rest = sum(map(mul, squares[at], cost)) - own * cost[at]
                cost[at] = max(0.0, (products[at] - rest + ease * cost[at]) / (own + ease))
        self._cost = cost


def _nothing() -> None:
    """No lane."""


class RunCosts:
    """The cost of each lane's runs; of a lane that has not run yet, that of the lane that ran last.

    Any thread may ask; one observes.
    """

    def __init__(self) -> None:
        self._last = RunCost()
        self._of: WeakKeyDictionary[Hashable, RunCost] = WeakKeyDictionary()  # a version that left takes its own along
        self._asked: tuple[Callable[[], Hashable | None], RunCost] = _nothing, self._last
        """The lane that was asked for last, as long as it lives, and its cost: mostly the next is of the same."""
        self._runs = 0

    @property
    def learnt(self) -> bool:
        """Whether forecasts may be relied on: not after the first few runs of all."""
        return self._runs >= _LEARNT

    def seconds(self, lane: Hashable, rows: int, width: int) -> float:
        """Return the forecast for a batch of a lane, zero while nothing is known of any."""
        return self.of(lane).seconds(rows, width)

    def of(self, lane: Hashable) -> RunCost:
        """Return the cost of a lane's runs, for who asks for many forecasts at once."""
        asked, cost = self._asked
        if asked() is lane:
            return cost
        known = self._of.get(lane)
        if known is None:
            return self._last
        self._asked = ref(lane), known
        return known

    def observe(self, lane: Hashable, rows: int, width: int, seconds: float) -> None:
        """Learn of a lane's run that took so long."""
        cost = self._of.get(lane)
        if cost is None:
            cost = self._of[lane] = RunCost(self._last.cost)
        self._last = cost
        self._runs += 1
        cost.observe(rows, width, seconds)
