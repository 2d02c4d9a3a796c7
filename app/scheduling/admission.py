"""Whether a request may join the queue: by the time that what waits is forecast to take.

Two bounds on the wait. The wide one is what a burst may wait, and what many callers who each wait for their answer make
each other wait. The narrow one holds under overload, for then a longer queue answers nobody more: it only makes all of
them wait. Overload is told by the work that was accepted while the queue grew, sooner where it is a flood, and its end
by refusals being few. What was refused counts for no work: callers who ask again at once would keep the bound narrow.

Whatever is forecast, a queue that the threads' next batches take up refuses nobody. Forecasts can be wrong by a factor,
where the first batches were held up or the whole machine stood still, and those who wait for each other are then few.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import WaitTooLong
from app.scheduling.flood import Flood

_OVER_S, _TOO_MUCH = 1.0, 1.2
"""Seconds over which accepted work is averaged, and how much of it, as a share of what can be done, is overload.

A closed loop of callers comes to 1.0, and as many as are answered in 1.2 seconds may begin at once. So it takes 0.2 to
0.5 seconds to tell three times what can be done, which a flood is told in half of, or less. This tells the rest.
"""
_GROWN_S = 0.2
"""By how much longer the wait must have become than it was over that time.

It tells a closed loop from overload where the forecast of its work is too high: the queue of such a loop stays.
"""
_KEPT = 2.5
"""What had joined before overload is told keeps its place up to so many times the narrow bound.

It is answered late, but sooner than a caller who is refused after all that time and asks again.
"""

_CALM_S, _FEW, _LATELY_S = 0.5, 0.1, 0.2
"""The narrow bound lasts so long at least, and ends when at most so large a share was refused over about so long.

What is averaged over half a second still tells of three times the load for 1.6 s after it has gone.
"""
_NONE = 1.0
"""So few refusals a second are none, however little else comes."""
_TRIAL_S = 60.0
"""So often the wide bound is tried all the same: callers who ask again at once may be few enough to wait in line."""
_SOON_S, _AT_ONCE, _OUTCOMES_S = 2.0, 5.0, 0.5
"""So often where so many are refused for each who is accepted, over about so long: then they do ask again at once, or
there is no hope."""

_MEMORY = 0.97
"""What a batch still counts for at the next one: the last thirty or so decide."""
_HELD_UP = 4.0
"""By how many times a batch may be off the rule so far: beyond, it counts as if it were off by that."""


@dataclass(frozen=True, slots=True)
class Patience:
    """The two bounds on the wait of interactive work, in seconds."""

    max_wait_s: float = math.inf
    overload_wait_s: float = math.inf


class _Rate:
    """What comes a second, averaged over the last so many seconds."""

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._rate = 0.0
        self._at = 0.0

    def add(self, work: float, now: float) -> None:
        self._rate = self.at(now) + work / self._over_s
        self._at = now

    def forget(self) -> None:
        self._rate = 0.0

    def at(self, now: float) -> float:
        return self._rate * math.exp(min(0.0, self._at - now) / self._over_s)


class _Outcomes:
    """How many were accepted and refused a second, averaged over the last so many seconds."""

    def __init__(self, over_s: float) -> None:
        self.accepted, self.refused = _Rate(over_s), _Rate(over_s)

    def are_calm(self, now: float) -> bool:
        """Tell whether few were refused, as a share or in number."""
        refused = self.refused.at(now)
        return refused <= max(_FEW * (refused + self.accepted.at(now)), _NONE)

    def are_hopeless(self, now: float) -> bool:
        """Tell whether nearly all were refused."""
        return self.refused.at(now) > _AT_ONCE * self.accepted.at(now)


class _Narrow:
    """A time of the narrow bound: since when, and what becomes of requests in it."""

    def __init__(self, since: float) -> None:
        self._since = since
        self._lately, self._outcomes = _Outcomes(_LATELY_S), _Outcomes(_OUTCOMES_S)

    def accepted(self, now: float, requests: int) -> None:
        """Count requests that joined the queue."""
        self._lately.accepted.add(requests, now)
        self._outcomes.accepted.add(requests, now)

    def refused(self, now: float, requests: int = 1) -> None:
        """Count refusals."""
        self._lately.refused.add(requests, now)
        self._outcomes.refused.add(requests, now)

    def is_over(self, now: float) -> bool:
        """Tell whether it is calm again, or time to see whether it would be."""
        lasts_s = now - self._since
        trial_s = _SOON_S if self._outcomes.are_hopeless(now) else _TRIAL_S
        return lasts_s > trial_s or (lasts_s > _CALM_S and self._lately.are_calm(now))


class _Mean:
    """What something was on average over the last so many seconds; it begins at nothing."""

    def __init__(self, over_s: float) -> None:
        self._over_s = over_s
        self._mean = 0.0
        self._at = 0.0

    def add(self, value: float, now: float) -> float:
        """Take in what it is now, and return the mean."""
        self._mean += (value - self._mean) * -math.expm1((self._at - now) / self._over_s)
        self._at = now
        return self._mean


class Admission:
    """Forecasts waits and refuses what would wait too long; touched by the event loop alone.

    Forecasts are of full batches; how much longer batches really take than the shares of their rows, because they are
    smaller or the machine is busy, is learnt from each.
    """

    def __init__(self, threads: int, patience: Patience, shed: Callable[[float], int] | None = None) -> None:
        """``shed``: refuses, when overload begins, what waits beyond so many thread-seconds of shares.

        It returns how many requests that were.
        """
        self._threads = threads
        self._patience = patience
        self._shed = shed
        self._took_s = self._shares_s = 0.0
        self._stretch = 1.0
        """How many times as long as the shares of their rows batches take: of their sums, since a wait is a sum."""
        self._batch_s = 0.0
        self._batches = 0
        self._narrow: _Narrow | None = None
        self._work = _Rate(_OVER_S)
        self._usual = _Mean(_OVER_S)
        self._flood = Flood()

    def ran(self, seconds: float, forecast_s: float, *, crowded: bool) -> None:
        """Learn of a batch that took so long, and whose rows' shares came to ``forecast_s``.

        ``crowded``: whether more waited than the next batches take up. Where less did, batches are small because there
        was no more to take, which says nothing of what they will be when there is.
        """
        self._batches += 1
        self._batch_s += (seconds - self._batch_s) * max(1 / self._batches, 1 - _MEMORY)
        if forecast_s > 0 and crowded:
            if not self._shares_s:  # what the first took may be chance; its shares give the scale
                self._took_s = self._shares_s = forecast_s
            rule_s = self._stretch * forecast_s
            took_s = min(max(seconds, rule_s / _HELD_UP), rule_s * _HELD_UP)
            self._took_s = _MEMORY * self._took_s + (1 - _MEMORY) * took_s
            self._shares_s = _MEMORY * self._shares_s + (1 - _MEMORY) * forecast_s
            self._stretch = self._took_s / self._shares_s

    def wait_s(self, before_s: float, *, busy: bool) -> float:
        """Return the forecast wait behind so many thread-seconds of shares; half a batch more where all are busy."""
        return before_s * self._stretch / self._threads + (self._batch_s / 2 if busy else 0.0)

    def answered(self, requests: int, now: float) -> None:
        """Count interactive requests of which rows have run for the first time."""
        self._flood.answered(requests, now)

    def accept(self, cost_s: float, wait_s: float, now: float, requests: int = 1, lag_s: float = 0.0) -> None:
        """Count interactive work that joined the queue, where the last of it is forecast to wait so long.

        ``lag_s``: how long it had waited to be read.
        """
        share_s = cost_s * self._stretch / self._threads
        self._work.add(share_s, now)
        if wait_s > 0:  # who waits for nobody is in no flood
            self._flood.joined(requests, share_s, now, lag_s)
        grown_s = wait_s - self._usual.add(wait_s, now)
        waits = wait_s > self._patience.overload_wait_s and grown_s > _GROWN_S
        if self._narrow is not None:
            self._narrow.accepted(now, requests)
        elif waits and (self._work.at(now) > _TOO_MUCH or self._flood.is_on):
            self._narrow = _Narrow(now)
            if self._shed is not None:  # what waits already would keep all others waiting
                keep_s = _KEPT * self.limit_s(now)
                self._narrow.refused(now, self._shed(keep_s * self._threads / self._stretch))

    def limit_s(self, now: float, lag_s: float = 0.0) -> float:
        """Return how long interactive work may wait in the queue at present, where it waited ``lag_s`` to be read.

        As much as keeps the threads at work until the event loop comes round again always may, up to the bound. Beyond,
        the loop has no time to refuse, and whoever it accepted would wait as long again as it has waited.
        """
        bound_s = self._patience.max_wait_s
        if self._is_narrow(now):
            bound_s = min(bound_s, self._patience.overload_wait_s)
        return max(bound_s - lag_s, min(lag_s, bound_s))

    def refuse_wait(self, wait_s: float, now: float, lag_s: float = 0.0) -> None:
        """Raise ``WaitTooLong`` where interactive work would wait longer in the queue than it may at present."""
        limit_s = self.limit_s(now, lag_s)
        if wait_s > limit_s:
            if self._narrow is None:
                self._narrow = _Narrow(now)
            self._narrow.refused(now)
            raise too_long(wait_s, limit_s, "accepted now")

    def refused(self, now: float, requests: int = 1) -> None:
        """Count refusals that were decided before."""
        if self._narrow is not None:
            self._narrow.refused(now, requests)

    def _is_narrow(self, now: float) -> bool:
        if self._narrow is not None and self._narrow.is_over(now):
            self._narrow = None
            self._work.forget()
        return self._narrow is not None

    def refuse_late(self, wait_s: float, cost_s: float, timeout_s: float) -> None:
        """Raise ``WaitTooLong`` where a queue would keep work of any class past its deadline.

        Where there is no queue it is tried: a forecast that is wrong mends only by what runs.
        """
        if wait_s <= 0:
            return
        needs_s = wait_s + cost_s * self._stretch / self._threads
        if needs_s > timeout_s:
            raise too_long(needs_s, timeout_s, "that this request may take")


def too_long(wait_s: float, limit_s: float, what: str) -> WaitTooLong:
    """Return the refusal of what would wait so long and may wait so long, as ``what`` says of the latter."""
    wait_ms, limit_ms = math.ceil(wait_s * 1000), math.floor(limit_s * 1000)
    error = WaitTooLong(f"an answer would have to wait some {wait_ms} ms; expected at most the {limit_ms} ms {what}")
    error.retry_after_s = max(1, math.ceil(wait_s - limit_s))
    return error


def overloaded() -> WaitTooLong:
    """Return the refusal of what had joined the queue when more began to come than can be done."""
    error = WaitTooLong("more came than can be answered in time while this request waited; expected fewer at once")
    error.retry_after_s = 1
    return error
