"""How long the summaries that wait will keep others waiting: by the steps that they are forecast to take.

What a step takes for each of its rows, what a source token takes to be read, and how much of its room for tokens a
summary really uses are learnt from those that run. A run that was held up teaches little, and the first few alone
nothing.
"""

from collections.abc import Callable
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

from app.runtime.roster import Writer
from app.scheduling.admission import too_long
from app.scheduling.crew import Stepped
from app.scheduling.slots import Lane, Row
from app.tasks.generate import Summary

_MEMORY = 0.9
"""What a run still counts for at the next one."""

_SURPRISE = 0.5
"""Beyond this share of its forecast what a run took counts no more: one that was held up says little of the next."""

_SOON = 0.5
"""A run that took less than this share of its forecast counts for all before it: none is too quick by chance."""

_LEARNT = 8
"""So many runs make a forecast to rely on: the first alone may have been held up a hundredfold."""


class _Mean:
    """A mean by weight that forgets slowly: of what is counted, over the units that it was counted for."""

    def __init__(self, unknown: float) -> None:
        """``unknown``: what it is where nothing was learnt."""
        self._unknown = unknown
        self._total = self._units = 0.0

    @property
    def value(self) -> float:
        """What is counted for a unit."""
        return self._total / self._units if self._units else self._unknown

    def learn(self, total: float, units: float) -> None:
        """Take in one more."""
        self._total = _MEMORY * self._total + total
        self._units = _MEMORY * self._units + units


class _Pace(_Mean):
    """The seconds that a unit of work takes, whatever holds up a single run; 0 until enough runs were seen."""

    def __init__(self) -> None:
        super().__init__(unknown=0.0)
        self._runs = 0

    @property
    def value(self) -> float:
        """The seconds of a unit."""
        return super().value if self._runs >= _LEARNT else 0.0

    def learn(self, total: float, units: float) -> None:
        """Take in a run that took ``total`` seconds for so many units."""
        forecast = super().value * units
        if total < _SOON * forecast:
            self._total = self._units = 0.0
        elif forecast:
            total = min(total, (1 + _SURPRISE) * forecast)
        super().learn(total, units)
        self._runs += 1


MeanT = TypeVar("MeanT", bound=_Mean)


class _Lanes(Generic[MeanT]):
    """What is learnt of each lane; models come and go, and take their own along."""

    def __init__(self, made: Callable[[], MeanT]) -> None:
        self._made = made
        self._of = WeakKeyDictionary[Writer, dict[int, MeanT]]()

    def of(self, lane: Lane) -> MeanT:
        """Return what is learnt of a lane, to ask it or to teach it more."""
        writer, beams = lane
        known = self._of.setdefault(writer, {})
        if beams not in known:
            known[beams] = self._made()
        return known[beams]


class Forecast:
    """Learns from what is done, and says what is to come; touched by the event loop alone."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._row_s = _Lanes(_Pace)
        self._token_s = _Lanes(_Pace)
        self._used = _Lanes(lambda: _Mean(unknown=1.0))

    def stepped(self, step: Stepped) -> None:
        """Learn of a step: its rows share its time, which is what one more would have cost."""
        self._row_s.of((step.writer, step.beams)).learn(step.ended - step.started, step.rows)

    def read(self, row: Row, seconds: float) -> None:
        """Learn of a text that was read."""
        self._token_s.of(row.lane).learn(seconds, row.tokens)

    def ended(self, row: Row, summary: Summary) -> None:
        """Learn of a summary that came to its own end."""
        if summary.reason != "deadline":
            self._used.of(row.lane).learn(len(summary.tokens) / row.options.max_tokens, 1)

    def cost_s(self, row: Row) -> float:
        """Return the seconds of a thread that a row is forecast to take; 0 while nothing is known of its kind."""
        options = row.options
        steps = max(options.min_tokens, options.max_tokens * self._used.of(row.lane).value) + 1
        return steps * self._row_s.of(row.lane).value + self.read_s(row)

    def read_s(self, row: Row) -> float:
        """Return the seconds that reading a row's text is forecast to take."""
        return row.tokens * self._token_s.of(row.lane).value

    def refuse_late(self, row: Row, before_s: float, timeout_s: float) -> None:
        """Raise ``WaitTooLong`` where ``before_s`` of waiting work would keep a row's first step past its deadline.

        Where nothing waits it is tried: what is decided by the deadline is an answer too.
        """
        wait_s = before_s / self._threads
        if before_s > 0 and wait_s + self.read_s(row) > timeout_s:
            raise too_long(wait_s + self.read_s(row), timeout_s, "that this request may take")
