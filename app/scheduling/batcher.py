"""Runs whole sequences in batches on a few threads, and brings the answers back to the event loop.

Work-conserving: an idle thread takes what waits at once, and batches grow by themselves while all threads are busy.
Every job is resolved: with its answers, with the error of its batch, at its deadline, or at shutdown.
"""

import asyncio
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

import numpy.typing as npt

from app.errors import DeadlineExceeded, Draining, InferenceFailed, InferenceHung, SluiceError, WaitTooLong
from app.runtime.widths import rung
from app.scheduling.admission import Admission, Patience
from app.scheduling.estimate import RunCosts
from app.scheduling.policy import PRIORITIES, Budget, Priority, due
from app.scheduling.queue import Job, Row, Waiting, joining_of
from app.scheduling.watchdog import GivenUp, Watchdog, Work

Answer = tuple[npt.NDArray[Any], ...]
"""One row's arrays: one for each output of its lane."""


class Lane(Hashable, Protocol):
    """What may run together: rows of one model that ask for the same outputs.

    One whose rows are not padded to the longest says so by ``joining``, one of ``app.scheduling.policy.Joining``.
    """

    @property
    def model(self) -> str:
        """The model's name, for the metrics."""

    @property
    def version(self) -> str:
        """The model's version, for the metrics."""

    def run(self, rows: Sequence[Any]) -> Sequence[Answer]:
        """Return one answer a row, in order; called from an inference thread."""

    def renew(self) -> None:
        """Open a new session in the place of one that hangs; an exception where that cannot be."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What one run of the runtime did, for whoever counts: times in seconds, on ``time.monotonic``."""

    lane: Lane
    rows: int
    tokens: int
    cells: int
    started: float
    ended: float
    forecast_s: float = 0.0
    """How long it was expected to take, by the batches before it."""


class Observer(Protocol):
    """Whoever counts; called on the event loop."""

    def batch(self, batch: Batch) -> None:
        """One run of the runtime is done."""

    def dropped(self, reason: str, rows: int) -> None:
        """Rows left the queue unanswered: ``cancelled`` or ``expired``."""

    def queue(self, rows: int, tokens: int) -> None:
        """So much waits now."""

    def waits(self, seconds: Mapping[Priority, float]) -> None:
        """So long would wait what comes now, by class."""

    def waited(self, forecast_s: float, seconds: float) -> None:
        """Count a request that waited so long for its first batch, and was forecast to wait ``forecast_s``."""


@dataclass(slots=True)
class Answers:
    """A job's answers in the order of its rows, and when its first batch started and its last ended."""

    rows: list[Answer]
    submitted: float
    started: float
    ended: float


@dataclass(slots=True, eq=False)
class Ticket(Job):
    """A job with the future that waits for it; touched by the event loop alone once it is submitted."""

    future: asyncio.Future[Answers] = field(kw_only=True)
    answers: Answers = field(kw_only=True)
    left: int = field(kw_only=True)
    wait_s: float = field(kw_only=True)
    """How long it was forecast to wait."""
    alarm: asyncio.TimerHandle = field(init=False)


_HANGS_OF_A_BATCH = 2
"""A batch hangs, one of its rows hangs alone: where a second one does too, it is not the rows."""


@dataclass(slots=True, eq=False)
class _Post:
    """One thread's place: the batches that were taken off the queue for it and have not run, and how often one hung."""

    at: int
    todo: deque[list[Row]] = field(default_factory=deque)
    hangs: int = 0
    taken: list[Row] = field(default_factory=list)
    """The batch as it was taken."""


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
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Make it; ``watchdog``: who notices a batch that hangs; default nobody.

        ``patience``: what bounds the wait of interactive work; default nothing. ``clock`` stands in for
        ``time.monotonic``.
        """
        self._costs = RunCosts()
        self._waiting = Waiting(budget, max_queue_tokens, threads, self._costs)
        self._admission = Admission(threads, patience or Patience())
        self._count = threads
        self._observer = observer
        self._watchdog = watchdog or Watchdog(0)
        self._clock = clock
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False
        self._waking = False

    def start(self) -> None:
        """Start the threads; call it on the event loop that will submit."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._threads = [self._thread(_Post(at)) for at in range(self._count)]

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
            answers=Answers([()] * len(rows), now, 0.0, 0.0),
            left=len(rows),
            wait_s=0.0,
        )
        ticket.rows = [Row(ticket, at, ids) for at, ids in enumerate(rows)]
        self._admit(ticket, timeout_s, now)
        self._waiting.put(ticket, now)
        self._observer.queue(self._waiting.rows, self._waiting.tokens)
        self._wake_soon()
        ticket.alarm = self._loop.call_later(timeout_s, self._expire, ticket)
        return ticket

    def refuse_unless_soon(self, timeout_s: float, priority: Priority = "interactive") -> None:
        """Raise ``WaitTooLong`` where whatever a request is about would wait too long: before it is read at all."""
        now = self._clock()
        wait_s = self._wait_s(priority, due(now, now + timeout_s))
        try:
            self._admission.refuse_late(wait_s, 0.0, timeout_s)
            if priority == "interactive":
                self._admission.refuse_wait(wait_s, now)
        except WaitTooLong:
            if priority == "interactive":
                self._admission.offer(now)
            raise

    def withdraw(self, ticket: Ticket) -> None:
        """Take back what of a ticket still waits, because its answers are there or because nobody wants them."""
        ticket.alarm.cancel()
        if not ticket.future.done() or ticket.future.cancelled():
            self._drop("cancelled", self._waiting.discard(ticket))
        ticket.rows = []  # each knows its ticket: a circle would keep the lane's model until the next collection

    def close(self, join_s: float = 5.0) -> None:
        """Take no more work, fail what still waits, and let the threads end; a batch that runs is finished first."""
        self._open = False
        for row in self._waiting.close():
            _fail(row, Draining("the service stopped before this request ran"))
        for thread in self._threads:
            thread.join(join_s)

    def _admit(self, ticket: Ticket, timeout_s: float, now: float) -> None:
        cost_s = self._waiting.cost_s(ticket)
        ticket.wait_s = self._wait_s(ticket.priority, due(now, ticket.deadline))
        if ticket.priority == "interactive":
            self._admission.offer(now, cost_s)
            self._admission.refuse_wait(ticket.wait_s, now)
        self._admission.refuse_late(ticket.wait_s, cost_s, timeout_s)

    def _wait_s(self, priority: Priority, when: float) -> float:
        return self._admission.wait_s(self._waiting.cost_before_s(priority, when), busy=self._waiting.busy)

    def _wake_soon(self) -> None:
        """Wake the threads at the end of this turn of the event loop, once for all that was submitted in it.

        Requests that arrive together then run together: a thread that is woken by the first of them would take it
        alone, at twice the cost a row and with a change of threads for each.
        """
        if not self._waking and self._loop is not None:
            self._waking = True
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._waking = False
        self._waiting.wake()

    def _thread(self, post: _Post, instead_of: Work | None = None) -> threading.Thread:
        thread = threading.Thread(target=self._work, args=(post, instead_of), name=f"infer-{post.at}", daemon=True)
        thread.start()
        return thread

    def _work(self, post: _Post, hung: Work | None) -> None:
        """Empty the queue; the thread that takes another's place first renews the session of the lane that hung."""
        if hung is not None:
            self._watchdog.renew(hung)
        try:
            self._run_all(post)
            while self._take(post):
                self._run_all(post)
        except GivenUp:
            pass  # another thread has this place

    def _take(self, post: _Post) -> bool:
        """Wait for work; ``False`` where there is to be no more. A thread that waits holds nothing of what it did."""
        taken = self._waiting.wait(self._clock)
        if taken is None:
            return False
        rows, expired = taken
        if expired:
            self._tell(self._expired, expired)
        if rows:
            post.taken = rows
            post.todo.append(rows)
        return True

    def _run_all(self, post: _Post) -> None:
        while post.todo:
            rows = [row for row in post.todo.popleft() if row.job.deadline > self._clock()]
            if rows:
                self._run(post, rows)
        post.hangs = 0
        if post.taken:
            self._waiting.ran(post.taken)
            post.taken = []

    def _run(self, post: _Post, rows: list[Row]) -> None:
        """Run a batch; where it fails, run it again in halves, so that one bad row does not fail its neighbours."""
        lane: Any = rows[0].job.lane
        width, cells = _size(lane, rows)
        started = self._clock()
        try:
            work = Work(lane, lane.model, lane.version, cells)
            with self._watchdog.over(work, partial(self._hung, post, work, rows)):
                answers = _answers(lane, rows)
        except GivenUp:
            raise
        except Exception as broken:  # noqa: BLE001 - whatever it is, the future must learn of it
            half = len(rows) // 2
            if half:
                post.todo.extendleft([rows[half:], rows[:half]])
            else:
                self._tell(self._broken, rows[0], broken)
            return
        ended = self._clock()
        tokens = sum(row.length for row in rows)
        forecast_s = self._costs.seconds(lane, len(rows), width)
        self._costs.observe(lane, len(rows), width, ended - started)
        batch = Batch(lane, len(rows), tokens, cells, started, ended, forecast_s)
        self._tell(self._done, rows, answers, batch)

    def _hung(self, post: _Post, work: Work, rows: list[Row], error: InferenceHung) -> None:
        """Put a new thread in the place of one whose batch hangs; called by the watchdog.

        Its rows run again one by one, so that only the one that hangs fails; where it is not the row, they all fail.
        """
        post.hangs += 1
        if len(rows) > 1:
            post.todo.extendleft([row] for row in reversed(rows))
        else:
            self._tell(self._broken, rows[0], error)
        if post.hangs > _HANGS_OF_A_BATCH or not self._open:
            for row in (row for rows in post.todo for row in rows):
                self._tell(self._broken, row, error)
            post.todo.clear()
        if self._open:
            taken_over = _Post(post.at, deque(post.todo), post.hangs, post.taken)
            self._threads[post.at] = self._thread(taken_over, work)

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        """Wake the event loop, once for a whole batch."""
        if self._loop is None:
            raise RuntimeError("This is a bug: a batch ran before start()")
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            self._open = False

    def _done(self, rows: list[Row], answers: Sequence[Answer], batch: Batch) -> None:
        for row, answer in zip(rows, answers, strict=True):
            ticket = _ticket(row)
            whole = ticket.answers
            whole.rows[row.index] = answer
            if not whole.started:
                self._observer.waited(ticket.wait_s, batch.started - whole.submitted)
            whole.started = min(whole.started or batch.started, batch.started)
            whole.ended = max(whole.ended, batch.ended)
            ticket.left -= 1
            if not ticket.left and not ticket.future.done():
                ticket.future.set_result(whole)
        self._admission.ran(batch.ended - batch.started, sum(row.cost_s for row in rows))
        self._observer.batch(batch)
        self._observer.queue(self._waiting.rows, self._waiting.tokens)
        self._observer.waits({each: self._wait_s(each, math.inf) for each in PRIORITIES})

    def _broken(self, row: Row, broken: Exception) -> None:
        if not isinstance(broken, SluiceError):
            error = InferenceFailed("the model failed on this input")
            error.__cause__ = broken
            broken = error
        _fail(row, broken)
        self._waiting.discard(row.job)  # the request is lost, so the rest of it need not run

    def _expired(self, rows: list[Row]) -> None:
        for job in {row.job: None for row in rows}:
            self._expire(job)
        self._drop("expired", len(rows))

    def _expire(self, job: Job) -> None:
        self._drop("expired", self._waiting.discard(job))
        if job.rows:
            _fail(job.rows[0], DeadlineExceeded("no answer within the time that a request may take"))

    def _drop(self, reason: str, rows: int) -> None:
        if rows:
            self._observer.dropped(reason, rows)
            self._observer.queue(self._waiting.rows, self._waiting.tokens)


def _size(lane: Lane, rows: list[Row]) -> tuple[int, int]:
    """Return how wide each row of a batch runs, as the longest or the mean where they are not padded, and its cells."""
    tokens = sum(row.length for row in rows)
    if joining_of(lane) != "padded":
        return -(-tokens // len(rows)), tokens
    width = rung(max(row.length for row in rows))
    return width, len(rows) * width


def _answers(lane: Lane, rows: list[Row]) -> Sequence[Answer]:
    answers = lane.run([row.ids for row in rows])
    if len(answers) != len(rows):
        raise InferenceFailed(f"This is a bug: {len(answers)} answers to {len(rows)} rows")
    return answers


def _ticket(row: Row) -> Ticket:
    if not isinstance(row.job, Ticket):
        raise TypeError("This is a bug: a row without a future")
    return row.job


def _fail(row: Row, error: Exception) -> None:
    future = _ticket(row).future
    if not future.done():
        future.set_exception(error)
