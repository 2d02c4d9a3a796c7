"""Runs whole sequences in batches on a few threads, and brings the answers back to the event loop.

Work-conserving: an idle thread takes what waits at once, and batches grow by themselves while all threads are busy.
Every job is resolved: with its answers, with the error of its batch, at its deadline, or at shutdown.
"""

import asyncio
import math
import time
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass

from app.errors import DeadlineExceeded, Draining, InferenceFailed, SluiceError, WaitTooLong
from app.scheduling.admission import Admission, Patience, overloaded
from app.scheduling.estimate import RunCosts
from app.scheduling.inline import Inline
from app.scheduling.job import Job, Row
from app.scheduling.lag import Lag
from app.scheduling.places import Places
from app.scheduling.policy import PATIENCE_S, PRIORITIES, Budget, Priority, due
from app.scheduling.queue import Waiting
from app.scheduling.runner import Runner
from app.scheduling.ticket import Answer, Answers, Batch, Lane, Observer, Ticket, Wait, fail, ticket_of
from app.scheduling.watchdog import Watchdog

_STANDS_S = 0.001
"""A refusal holds for so long for all who are in no more of a hurry: under overload it is most of what is decided.

So does it that nobody is refused, as long as the queue is short.
"""


@dataclass(slots=True)
class _Joined:
    """Interactive work that joined the queue in this turn of the event loop."""

    requests: int = 0
    cost_s: float = 0.0
    wait_s: float = 0.0
    """How long the last of it was forecast to wait."""


class Batcher:
    """A bounded queue and the threads that empty it."""

    def __init__(
        self,
        *,
        threads: int,
        budget: Budget,
        max_queue_tokens: int,
        observer: Observer,
        watchdog: Watchdog | None = None,
        patience: Patience | None = None,
        inline: Inline | None = None,
        places: Places | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it; ``watchdog``: who notices a batch that hangs; default nobody.

        ``patience``: what bounds the wait of interactive work; default nothing. ``inline``: what may run on the event
        loop's thread; default nothing. ``places``: the cores that other processes use too. ``clock`` stands in for
        ``time.monotonic``.
        """
        self._costs = RunCosts()
        self._waiting = Waiting(budget, max_queue_tokens, threads, self._costs, places)
        self._admission = Admission(threads, patience or Patience(), self._shed)
        self._lag = Lag()
        self._verdict: WaitTooLong | None = None
        """The refusal that holds until ``_stands_until``, ``None`` where nobody is refused."""
        self._stands_until = 0.0
        self._repeats = 0
        """How many it refused beside the first, and nobody has counted yet."""
        self._joined = _Joined()
        self._lone: Ticket | None = None
        """One that came in this turn while nothing waited and nothing ran, and has not joined the queue."""
        self._observer = observer
        self._clock = clock
        self._runner = Runner(
            self._waiting,
            self._costs,
            self,
            threads=self._waiting.asking,
            watchdog=watchdog or Watchdog(0),
            inline=inline or Inline(),
            clock=clock,
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False
        self._waking = False
        self._observer.queue(self._waiting.rows, self._waiting.tokens)

    def start(self) -> None:
        """Start the threads; call it on the event loop that will submit."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._runner.start()

    async def submit(
        self, lane: Lane, rows: Sequence[Sized], timeout_s: float, *, priority: Priority = "interactive"
    ) -> Answers:
        """Return the answers to ``rows``, each int64[T] with T >= 1.

        Raises what ``enqueue`` raises and what its future does. A cancelled caller's rows leave the queue at once; its
        neighbours in a batch are answered all the same.
        """
        ticket = self.enqueue(lane, rows, timeout_s, priority=priority)
        try:
            return await ticket.future
        finally:
            self.withdraw(ticket)

    def enqueue(
        self, lane: Lane, rows: Sequence[Sized], timeout_s: float, *, priority: Priority = "interactive"
    ) -> Ticket:
        """Put ``rows`` into the queue, each int64[T] with T >= 1, and return the ticket whose future gets the answers.

        Rows of the class ``batch`` run when no interactive ones wait, and at every ``BATCH_TURN``-th turn all the same.

        Raises at once ``QueueFull`` where the queue has no room, ``WaitTooLong`` where what waits would keep it past
        its deadline or longer than interactive work may wait, and ``Draining`` after ``close``. The future fails with
        ``DeadlineExceeded`` after ``timeout_s``, with ``Draining`` at ``close``, and with what the lane raised. The
        caller gives the ticket back to ``withdraw``, whatever becomes of it.
        """
        if not self._open or self._loop is None:
            raise Draining("the service is stopping")
        now = self._clock()
        ticket = Ticket(
            lane,
            now + timeout_s,
            priority=priority,
            future=self._loop.create_future(),
            answers=Answers([()] * len(rows), now),
            left=len(rows),
        )
        ticket.rows = [Row(ticket, at, ids) for at, ids in enumerate(rows)]
        if len(rows) == 1 and self._lone is None and self._waiting.is_still:
            cost_s = self._waiting.price(ticket)
            self._lone = ticket
        else:
            self._join_lone(now)
            cost_s = self._admit(ticket, timeout_s, now)
            self._waiting.put(ticket, now)
        if priority == "interactive":
            self._joined.requests += 1
            self._joined.cost_s += cost_s
            self._joined.wait_s = ticket.wait_s
        self.more()
        ticket.alarm = self._loop.call_later(timeout_s, self._expire, ticket)
        return ticket

    def refuse_unless_soon(self, timeout_s: float, priority: Priority = "interactive") -> None:
        """Raise ``WaitTooLong`` where whatever a request is about would wait too long: before it is read at all."""
        now = self._clock()
        usual = priority == "interactive" and timeout_s >= PATIENCE_S
        if usual and now < self._stands_until:
            if self._verdict is not None:
                self._repeats += 1
                raise self._verdict.with_traceback(None)
            if self._waiting.is_short:
                return
        wait_s = self._wait_s(priority, due(now, now + timeout_s))
        self._admission.refuse_late(wait_s, 0.0, timeout_s)
        if self._repeats:
            self._admission.refused(now, self._repeats)
            self._repeats = 0
        if usual:
            self._verdict, self._stands_until = None, now + _STANDS_S
        try:
            self._refuse_wait(priority, wait_s, now)
        except WaitTooLong as refusal:
            if usual:
                self._verdict = refusal
            raise

    def withdraw(self, ticket: Ticket) -> None:
        """Take back what of a ticket still waits, because its answers are there or because nobody wants them."""
        ticket.alarm.cancel()
        if not ticket.future.done() or ticket.future.cancelled():
            self._drop("cancelled", self._forget(ticket))
        ticket.rows = []  # each knows its ticket: a circle would keep the lane's model until the next collection

    def close(self, join_s: float = 5.0) -> None:
        """Take no more work, fail what still waits, and let the threads end; a batch that runs is finished first."""
        self._open = False
        self._join_lone(self._clock())
        for row in self._waiting.close():
            fail(row, Draining("the service stopped before this request ran"))
        self._runner.close(join_s)

    def _admit(self, ticket: Ticket, timeout_s: float, now: float) -> float:
        """Return the thread-seconds that a ticket is forecast to take, and refuse it where it would wait too long."""
        cost_s = self._waiting.price(ticket)
        ticket.wait_s = self._wait_s(ticket.priority, due(now, ticket.deadline))
        if ticket.wait_s > 0:
            self._refuse_wait(ticket.priority, ticket.wait_s, now)
            self._admission.refuse_late(ticket.wait_s, cost_s, timeout_s)
        return cost_s

    def _refuse_wait(self, priority: Priority, wait_s: float, now: float) -> None:
        if priority == "interactive" and not self._waiting.is_short:
            self._admission.refuse_wait(wait_s, now, self._lag.now_s())

    def _wait_s(self, priority: Priority, when: float) -> float:
        before_s = self._waiting.cost_before_s(priority, when) if self._waiting.rows else 0.0
        return self._admission.wait_s(before_s, busy=self._waiting.busy)

    def more(self) -> None:
        """Have what waits run at the end of this turn of the event loop, once for all that was submitted in it.

        Requests that arrive together then run together: a thread that is woken by the first of them would take it
        alone, at twice the cost a row and with a change of threads for each.
        """
        if self._waking or self._loop is None:
            return
        self._waking = True
        self._lag.now_s()  # asked in each turn in which something came: that keeps the measuring up
        self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._waking = False
        joined, self._joined = self._joined, _Joined()
        if joined.requests:
            lag_s = self._lag.now_s()
            self._admission.accept(joined.cost_s, joined.wait_s, self._clock(), joined.requests, lag_s)
        if not self._run_lone():
            self._runner.run_what_waits()

    def _run_lone(self) -> bool:
        """Run the one that came alone, past the queue; ``False`` where there is none, or it had to join."""
        lone = self._lone
        if lone is None:
            return False
        self._lone = None
        if self._runner.run_alone(lone.rows[0]):
            return True
        self._waiting.put(lone, self._clock())
        return False

    def _join_lone(self, now: float) -> None:
        lone, self._lone = self._lone, None
        if lone is not None:
            self._waiting.put(lone, now)

    def _forget(self, job: Job) -> int:
        """Forget the rows of a job that have not run; return how many."""
        if job is self._lone:
            self._lone = None
            return len(job.rows)
        return self._waiting.discard(job)

    def done(self, rows: list[Row], answers: Sequence[Answer], batch: Batch) -> None:
        """Give the answers of a batch to the jobs of its rows, and count it."""
        waits = self._answer(rows, answers, batch)
        self._count(rows, waits, batch)

    def done_alone(self, rows: list[Row], answers: Sequence[Answer], batch: Batch) -> None:
        """Do the same, but count once the answer is sent: whoever asks alone waits for nothing else.

        It is written in the next turn of the event loop and sent at the end of that.
        """
        waits = self._answer(rows, answers, batch)
        if self._loop is not None:
            self._loop.call_soon(self._loop.call_soon, self._count, rows, waits, batch)

    def _answer(self, rows: list[Row], answers: Sequence[Answer], batch: Batch) -> list[Wait]:
        """Return how long those waited of whom this was the first batch."""
        waits: list[Wait] = []
        for row, answer in zip(rows, answers, strict=True):
            ticket = ticket_of(row)
            if not ticket.answers.started:
                waits.append((ticket.wait_s, batch.started - ticket.answers.submitted))
            ticket.take(row.index, answer, batch)
        return waits

    def _count(self, rows: list[Row], waits: list[Wait], batch: Batch) -> None:
        """Learn of a batch, and tell whoever counts."""
        took_s = batch.ended - batch.started
        self._costs.observe(batch.lane, batch.rows, batch.width, took_s)
        self._admission.ran(took_s, sum([row.cost_s for row in rows]), crowded=not self._waiting.is_short)
        if rows[0].job.priority == "interactive":
            self._admission.answered(len(waits), self._clock())
        self._observer.waited(waits)
        self._observer.batch(batch)
        self._observer.queue(self._waiting.rows, self._waiting.tokens)
        self._observer.waits({each: self._wait_s(each, math.inf) for each in PRIORITIES}, self._lag.now_s())

    def broken(self, row: Row, broken: Exception) -> None:
        """Fail the job of a row."""
        if not isinstance(broken, SluiceError):
            error = InferenceFailed("the model failed on this input")
            error.__cause__ = broken
            broken = error
        fail(row, broken)
        self._waiting.discard(row.job)  # the request is lost, so the rest of it need not run

    def expired(self, rows: list[Row]) -> None:
        """Fail the jobs of rows that came off the queue too late."""
        for job in {row.job: None for row in rows}:
            self._expire(job)
        self._drop("expired", len(rows))

    def _expire(self, job: Job) -> None:
        self._drop("expired", self._forget(job))
        if job.rows:
            fail(job.rows[0], DeadlineExceeded("no answer within the time that a request may take"))

    def _shed(self, keep_s: float) -> int:
        """Refuse what waits beyond so many thread-seconds; return how many requests."""
        jobs = self._waiting.shed(keep_s)
        for job in jobs:
            fail(job.rows[0], overloaded())
        self._drop("shed", sum(len(job.rows) for job in jobs))
        return len(jobs)

    def _drop(self, reason: str, rows: int) -> None:
        if rows:
            self._observer.dropped(reason, rows)
            self._observer.queue(self._waiting.rows, self._waiting.tokens)
