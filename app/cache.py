"""Answers that are kept for texts which come again, in front of a batcher: exact, bounded in bytes, one run for all.

A text is known by its lane (package, version and what is asked of it) and its ids, which are all that a model sees of
it; so texts that differ only in what normalization takes away are one. A row that is already on its way is waited for
and not run again. It belongs to nobody: it is taken off the queue when the last who waits for it has gone.
"""

import asyncio
import itertools
import time
import weakref
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from app.errors import DeadlineExceeded
from app.scheduling.batcher import Batcher
from app.scheduling.policy import Priority
from app.scheduling.ticket import Answer, Answers, Lane, Ticket

Ids = npt.NDArray[np.int64]
Key = tuple[int, bytes]
"""A lane's number and a row's ids."""

ENTRY_BYTES = 512
"""What an entry takes beside its numbers: keys, tuples and the heads of arrays."""


class Queued(Protocol):
    """A job that waits."""

    @property
    def future(self) -> asyncio.Future[Answers]:
        """Its answers, or why there are none."""


class Batching(Protocol):
    """What ``Batcher`` and ``Cache`` have for those who submit."""

    def refuse_unless_soon(self, timeout_s: float, priority: Priority = "interactive") -> None:
        """Raise ``WaitTooLong`` where whatever a request is about would wait too long."""

    async def submit(
        self, lane: Lane, rows: Sequence[Ids], timeout_s: float, *, priority: Priority = "interactive"
    ) -> Answers:
        """Return the answers to ``rows``."""

    def enqueue(
        self, lane: Lane, rows: Sequence[Ids], timeout_s: float, *, priority: Priority = "interactive"
    ) -> Queued:
        """Return a job whose future gets the answers to ``rows``."""

    def withdraw(self, ticket: Any) -> None:
        """Give such a job back, whatever becomes of it."""


class Observer(Protocol):
    """Whoever counts; called on the event loop."""

    def rows(self, hits: int, shared: int, misses: int) -> None:
        """Count a job's rows: known, on their way already, to be run."""

    def kept(self, entries: int, size: int) -> None:
        """Tell that so many answers of so many bytes are kept now."""


@dataclass(slots=True, eq=False)
class Waiter:
    """A job: what it has of its answers, and what it waits for."""

    future: asyncio.Future[Answers]
    answers: Answers
    deadline: float
    flights: dict["_Flight", list[int]] = field(default_factory=dict)
    """Each row on its way with the places where its answer goes."""
    alarm: asyncio.TimerHandle | None = None


@dataclass(slots=True, eq=False)
class _Flight:
    """One row on its way, for all who wait for it."""

    key: tuple[Key, Priority]
    lane: Lane
    ids: Ids
    ticket: Ticket
    waiters: dict[Waiter, None] = field(default_factory=dict)


class Cache:
    """Has what a batcher has for those who submit; on the event loop alone."""

    def __init__(
        self, batcher: Batcher, max_bytes: int, observer: Observer, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Keep at most ``max_bytes``, those used last; ``clock``: the batcher's."""
        self._batcher = batcher
        self._max_bytes = max_bytes
        self._observer = observer
        self._clock = clock
        self._kept: OrderedDict[Key, Answer] = OrderedDict()
        self._bytes = 0
        self._flights: dict[tuple[Key, Priority], _Flight] = {}
        self._numbers: weakref.WeakKeyDictionary[Lane, int] = weakref.WeakKeyDictionary()
        self._next = itertools.count()
        self._gone: deque[int] = deque()

    def refuse_unless_soon(self, timeout_s: float, priority: Priority = "interactive") -> None:
        """Raise nothing: until its rows are known nobody can say whether a request has to wait at all."""

    async def submit(
        self, lane: Lane, rows: Sequence[Ids], timeout_s: float, *, priority: Priority = "interactive"
    ) -> Answers:
        """Return the answers to ``rows``, as ``Batcher.submit`` does."""
        waiter = self.enqueue(lane, rows, timeout_s, priority=priority)
        try:
            return await waiter.future
        finally:
            self.withdraw(waiter)

    def enqueue(
        self, lane: Lane, rows: Sequence[Ids], timeout_s: float, *, priority: Priority = "interactive"
    ) -> Waiter:
        """Return a job whose future gets the answers to ``rows``; it raises and fails as ``Batcher.enqueue`` does."""
        loop, now = asyncio.get_running_loop(), self._clock()
        self._forget_gone()
        waiter = Waiter(loop.create_future(), Answers([()] * len(rows), now), now + timeout_s)
        number = self._number(lane)
        hits = shared = 0
        try:
            for at, ids in enumerate(rows):
                key = (number, ids.tobytes())
                if (known := self._kept.get(key)) is not None:
                    self._kept.move_to_end(key)
                    waiter.answers.rows[at] = known
                    hits += 1
                    continue
                shared += (key, priority) in self._flights
                flight = self._flight(key, lane, ids, timeout_s, priority)
                flight.waiters[waiter] = None
                waiter.flights.setdefault(flight, []).append(at)
        except BaseException:
            self.withdraw(waiter)
            raise
        self._observer.rows(hits, shared, len(rows) - hits - shared)
        if waiter.flights:
            waiter.alarm = loop.call_later(timeout_s, _expire, waiter)
        else:
            waiter.answers.started = waiter.answers.ended = now
            waiter.future.set_result(waiter.answers)
        return waiter

    def withdraw(self, ticket: Waiter) -> None:
        """Take back what only this job waits for, because its answers are there or because nobody wants them."""
        if ticket.alarm is not None:
            ticket.alarm.cancel()
        for flight in ticket.flights:
            flight.waiters.pop(ticket, None)
            if not flight.waiters and self._flights.get(flight.key) is flight:
                del self._flights[flight.key]
                self._batcher.withdraw(flight.ticket)
        ticket.flights.clear()

    def _flight(self, key: Key, lane: Lane, ids: Ids, timeout_s: float, priority: Priority) -> _Flight:
        """Return the row's flight: the one there is, or a new one."""
        flight = self._flights.get((key, priority))
        if flight is None:
            ticket = self._batcher.enqueue(lane, [ids], timeout_s, priority=priority)
            flight = self._flights[key, priority] = _Flight((key, priority), lane, ids, ticket)
            ticket.future.add_done_callback(lambda _: self._landed(flight))
        return flight

    def _landed(self, flight: _Flight) -> None:
        ticket = flight.ticket
        self._batcher.withdraw(ticket)
        error = ticket.future.exception()
        if self._flights.get(flight.key) is not flight:
            return  # nobody waits any more
        if isinstance(error, DeadlineExceeded) and self._try_again(flight):
            return
        del self._flights[flight.key]
        if error is None:
            answers = ticket.future.result()
            self._keep(flight.key[0], answers.rows[0])
            for waiter in flight.waiters:
                self._give(waiter, flight, answers)
        else:
            for waiter in flight.waiters:
                if not waiter.future.done():
                    waiter.future.set_exception(error)

    def _try_again(self, flight: _Flight) -> bool:
        """Queue a row anew that has run out of its first waiter's time, where another has more; tell whether."""
        left_s = max(waiter.deadline for waiter in flight.waiters) - self._clock()
        if left_s <= 0:
            return False
        try:
            ticket = self._batcher.enqueue(flight.lane, [flight.ids], left_s, priority=flight.key[1])
        except Exception as refused:  # noqa: BLE001 - whoever waits must learn of it
            self._flights.pop(flight.key)
            for waiter in flight.waiters:
                if not waiter.future.done():
                    waiter.future.set_exception(refused)
            return True
        flight.ticket = ticket
        ticket.future.add_done_callback(lambda _: self._landed(flight))
        return True

    @staticmethod
    def _give(waiter: Waiter, flight: _Flight, answers: Answers) -> None:
        whole = waiter.answers
        for at in waiter.flights.pop(flight):
            whole.rows[at] = answers.rows[0]
        whole.started = min(whole.started or answers.started, answers.started)
        whole.ended = max(whole.ended, answers.ended)
        if not waiter.flights and not waiter.future.done():
            waiter.future.set_result(whole)

    def _keep(self, key: Key, answer: Answer) -> None:
        """Keep an answer, copied out of its batch, and let go of those that were used longest ago."""
        size = _size(key, answer)
        if size > self._max_bytes or key in self._kept:
            return
        self._kept[key] = tuple(_own(part) for part in answer)
        self._bytes += size
        while self._bytes > self._max_bytes:
            self._bytes -= _size(*self._kept.popitem(last=False))
        self._observer.kept(len(self._kept), self._bytes)

    def _number(self, lane: Lane) -> int:
        number = self._numbers.get(lane)
        if number is None:
            number = self._numbers[lane] = next(self._next)
            weakref.finalize(lane, self._gone.append, number)
        return number

    def _forget_gone(self) -> None:
        """Empty the cache for lanes whose package has left and whose last request is done."""
        if not self._gone:
            return
        gone = {self._gone.popleft() for _ in range(len(self._gone))}
        for key in [key for key in self._kept if key[0] in gone]:
            self._bytes -= _size(key, self._kept.pop(key))
        self._observer.kept(len(self._kept), self._bytes)


def _expire(waiter: Waiter) -> None:
    if not waiter.future.done():
        waiter.future.set_exception(DeadlineExceeded("no answer within the time that a request may take"))


def _size(key: Key, answer: Answer) -> int:
    return ENTRY_BYTES + len(key[1]) + sum(part.nbytes for part in answer)


def _own(part: npt.NDArray[Any]) -> npt.NDArray[Any]:
    own = part.copy()  # of the batch's array, which would be kept whole for its sake
    own.setflags(write=False)
    return own
