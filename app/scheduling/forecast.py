"""How long the summaries that wait will keep others waiting: by the steps that they are forecast to take.

What a step takes for each of its rows, what a source token takes to be read, and how much of its room for tokens a
summary really uses are learnt from those that run.
"""

from weakref import WeakKeyDictionary

from app.runtime.roster import Writer
from app.scheduling.admission import too_long
from app.scheduling.crew import Stepped
from app.scheduling.slots import Lane, Row
from app.tasks.generate import Summary

_MEMORY = 0.9


class _Means:
    """A mean of each lane that forgets slowly; models come and go, and take their own along."""

    def __init__(self) -> None:
        self._of = WeakKeyDictionary[Writer, dict[int, float]]()

    def get(self, lane: Lane, unknown: float) -> float:
        """Return a lane's mean; ``unknown`` where nothing was learnt."""
        writer, beams = lane
        return self._of.get(writer, {}).get(beams, unknown)

    def learn(self, lane: Lane, new: float) -> None:
        """Take in one more value."""
        writer, beams = lane
        means = self._of.setdefault(writer, {})
        means[beams] = _MEMORY * means.get(beams, new) + (1 - _MEMORY) * new


class Forecast:
    """Learns from what is done, and says what is to come; touched by the event loop alone."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._row_s = _Means()
        self._token_s = _Means()
        self._used = _Means()

    def stepped(self, step: Stepped) -> None:
        """Learn of a step: its rows share its time, which is what one more would have cost."""
        lane = step.writer, step.beams
        self._row_s.learn(lane, (step.ended - step.started) / step.rows)

    def read(self, row: Row, seconds: float) -> None:
        """Learn of a text that was read."""
        self._token_s.learn(row.lane, seconds / max(1, row.tokens))

    def ended(self, row: Row, summary: Summary) -> None:
        """Learn of a summary that came to its own end."""
        if summary.reason != "deadline":
            self._used.learn(row.lane, len(summary.tokens) / row.options.max_tokens)

    def cost_s(self, row: Row) -> float:
        """Return the seconds of a thread that a row is forecast to take; 0 while nothing is known of its kind."""
        options = row.options
        steps = max(options.min_tokens, options.max_tokens * self._used.get(row.lane, 1.0)) + 1
        return steps * self._row_s.get(row.lane, 0.0) + self.read_s(row)

    def read_s(self, row: Row) -> float:
        """Return the seconds that reading a row's text is forecast to take."""
        return row.tokens * self._token_s.get(row.lane, 0.0)

    def refuse_late(self, row: Row, before_s: float, timeout_s: float) -> None:
        """Raise ``WaitTooLong`` where ``before_s`` of waiting work would keep a row's first step past its deadline.

        Where nothing waits it is tried: what is decided by the deadline is an answer too.
        """
        wait_s = before_s / self._threads
        if before_s > 0 and wait_s + self.read_s(row) > timeout_s:
            raise too_long(wait_s + self.read_s(row), timeout_s, "that this request may take")
