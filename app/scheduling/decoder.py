"""Writes summaries step by step on a few threads, and brings the tokens back to the event loop.

Each thread steps teams of rows: a waiting row joins a team at any step, and leaves when it is done. A caller who is
gone, or whose time is up, frees the slot at the next step. Every job is resolved: with its summaries, with the error of
the row that failed, at its deadline, or at shutdown.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from app.errors import DeadlineExceeded, Draining, InferenceFailed, InferenceHung, SluiceError
from app.runtime.roster import Writer
from app.runtime.threads import give_way
from app.scheduling.cost import Costs
from app.scheduling.crew import Crew, Stepped, Turn, too_late
from app.scheduling.forecast import Forecast
from app.scheduling.orders import OnToken, Order, Pending, Written, pending_of
from app.scheduling.slots import Held, Room, Row, Slots
from app.scheduling.watchdog import GivenUp, Watchdog, Work
from app.tasks.generate import Summary, Token

_GRACE_S = 0.5
"""How long after its deadline a job waits for the step that is running, so as to answer with what was decided."""


class Observer(Protocol):
    """Whoever counts; called on the event loop."""

    def encoded(self, writer: Writer, tokens: int, seconds: float, queued_s: float) -> None:
        """Count a text of so many tokens that was read after it had waited ``queued_s``."""

    def stepped(self, step: Stepped) -> None:
        """One step is done."""

    def finished(self, writer: Writer, summary: Summary) -> None:
        """Count a whole summary."""

    def dropped(self, reason: str, rows: int) -> None:
        """Rows left unanswered, from the queue or from their slots: ``cancelled`` or ``expired``."""

    def queue(self, rows: int, tokens: int) -> None:
        """So much waits now."""

    def slots(self, rows: int, cells: int) -> None:
        """So much is being written now."""


class Decoder:
    """A bounded queue, bounded slots, and the threads that fill and step them."""

    def __init__(
        self,
        *,
        threads: int,
        room: Room,
        max_queue_tokens: int,
        observer: Observer,
        watchdog: Watchdog | None = None,
        clock: Callable[[], float] = time.monotonic,
        costs: Costs | None = None,
    ) -> None:
        """``watchdog``: who notices a step that hangs; default nobody. ``clock`` stands in for ``time.monotonic``.

        ``costs``: what is known already of what steps cost; what is not is measured.
        """
        self._slots = Slots(threads, room, max_queue_tokens)
        self._workers = threads
        self._observer = observer
        self._watchdog = watchdog or Watchdog(0)
        self._clock = clock
        self._costs = costs or Costs()
        self._forecast = Forecast(threads)
        self._turns: deque[Turn] = deque()
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: set[Pending] = set()
        self._open = False
        self._waking = False

    def start(self) -> None:
        """Start the threads; call it on the event loop that will submit."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._threads = [self._thread(at) for at in range(self._workers)]

    async def submit(
        self, writer: Writer, orders: Sequence[Order], timeout_s: float, on_token: OnToken | None = None
    ) -> Written:
        """Return the summaries of ``orders``, at least one, each of a draft with at least one token.

        Raises at once ``QueueFull`` where the queue has no room, ``WaitTooLong`` where what waits would keep the first
        step past ``timeout_s``, and ``Draining`` while the service stops; then what the writer raised. After
        ``timeout_s`` a summary is what was decided of it (its reason is ``deadline``); ``DeadlineExceeded`` where
        nothing was. A cancelled caller's rows leave queue and slots at the next step.
        """
        if not self._open or self._loop is None:
            raise Draining("the service is stopping")
        pending = Pending.of(writer, orders, self._clock(), timeout_s, on_token)
        if not pending.rows:
            raise ValueError("This is a bug: a job without texts")
        self._slots.refuse_full(pending)  # the queue's bound is a fact, the forecast is none
        self._forecast.refuse_late(pending.rows[0], self._slots.waiting_s, timeout_s)
        for row in pending.rows:
            row.cost_s = self._forecast.cost_s(row)
        self._slots.put(pending)
        self._jobs.add(pending)
        self._tell_queue()
        self._wake_soon()
        alarm = self._loop.call_later(timeout_s, self._expire, pending)
        late = self._loop.call_later(timeout_s + _GRACE_S, self._late, pending)
        try:
            return await pending.future
        finally:
            alarm.cancel()
            late.cancel()
            self._jobs.discard(pending)
            if not pending.gone and pending.left:  # nobody waits for the rest
                self._abandon(pending, "cancelled")
            pending.rows = []  # each knows its job: a circle would keep the writer until the next collection

    async def stream(self, writer: Writer, order: Order, timeout_s: float) -> AsyncGenerator[Token | Summary, None]:
        """Yield each token as it is decided, where the order is for a beam of one, and then the summary.

        Raises as ``submit`` does. Closing the generator is how its caller leaves.
        """
        told: asyncio.Queue[Token | None] = asyncio.Queue()
        work = asyncio.ensure_future(self.submit(writer, [order], timeout_s, lambda _, token: told.put_nowait(token)))

        def ended(work: asyncio.Future[Written]) -> None:
            if not work.cancelled():
                work.exception()  # seen, even where the caller has left
            told.put_nowait(None)

        work.add_done_callback(ended)
        try:
            while (token := await told.get()) is not None:
                yield token
            yield (await work).summaries[0]
        finally:
            work.cancel()

    async def drain(self, timeout_s: float) -> bool:
        """Take no more work, and wait for what there is; return whether it ended in time."""
        self._open = False
        futures = [job.future for job in self._jobs]
        return not futures or not (await asyncio.wait(futures, timeout=timeout_s))[1]

    def close(self, join_s: float = 5.0) -> None:
        """Take no more work, fail what waits and what is being written, and let the threads end after their step."""
        self._open = False
        self._slots.close()
        for thread in self._threads:
            thread.join(join_s)
        self._tell(self._fail_all)

    def _wake_soon(self) -> None:
        """Wake the threads at the end of this turn of the event loop, once for all that was submitted in it."""
        if not self._waking and self._loop is not None:
            self._waking = True
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._waking = False
        self._slots.wake()

    def _thread(self, at: int, instead_of: Work | None = None) -> threading.Thread:
        thread = threading.Thread(target=self._work, args=(at, instead_of), name=f"decode-{at}", daemon=True)
        thread.start()
        return thread

    def _work(self, at: int, hung: Work | None) -> None:
        """Take turn after turn; the thread that takes another's place first renews the sessions that hung."""
        give_way()
        if hung is not None:
            self._watchdog.renew(hung)
        crew = Crew(self._costs, self._clock)
        while not self._slots.closed:
            turn = Turn()
            try:
                self._take_turn(at, crew, turn)
            except GivenUp:
                return  # another thread has this place
            except Exception as broken:  # noqa: BLE001 - this is a bug; its rows hear of it, and the thread goes on
                turn.ends += [(row, broken) for row in crew.rows]
                crew = Crew(self._costs, self._clock)
                self._slots.hold(at, crew.held)
            self._turns.append(turn)
            if turn.urgent:
                self._tell(self._turned)

    def _watched(
        self, at: int, turn: Turn, writer: Writer, rows: list[Row], tokens: int
    ) -> AbstractContextManager[None]:
        """Watch over a writer's work for a crew, all of whose rows, of so many tokens, are lost where it hangs."""
        work = Work(writer, writer.name, writer.version, tokens)
        return self._watchdog.over(work, partial(self._hung, at, turn, rows, work))

    def _hung(self, at: int, turn: Turn, rows: list[Row], work: Work, error: InferenceHung) -> None:
        """Put a new thread in the place of one that hangs, whose rows all fail; called by the watchdog.

        What the turn did before is told first. The thread that hangs may come back and write in its crew and its
        turn, so neither is used any more.
        """
        told = Turn(list(turn.reads), None, list(turn.tokens), list(turn.ends), list(turn.drops))
        told.ends += [(row, error) for row in rows]
        self._turns.append(told)
        self._tell(self._turned)
        self._slots.hold(at, Held())
        if self._open:
            self._threads[at] = self._thread(at, work)

    def _take_turn(self, at: int, crew: Crew, turn: Turn) -> None:
        before = crew.held
        crew.sweep(turn)
        if turn.freed:
            self._slots.hold(at, crew.held)
        self._admit(at, crew, turn)
        if not crew.idle:
            rows = crew.rows
            with self._watched(at, turn, rows[0].job.writer, rows, crew.tokens):
                crew.step(turn)
        if turn.reads or turn.freed or crew.held != before:
            self._slots.hold(at, crew.held)

    def _admit(self, at: int, crew: Crew, turn: Turn) -> None:
        """Read waiting texts, one where it is this thread's turn, and more for as long as a step takes.

        Those that are being written would wait for more; those that wait would come in too slowly for less.
        """
        started, idle = self._clock(), crew.idle and not turn.freed
        while idle or self._slots.waiting_rows:
            row = self._slots.take(at, crew.cells_with, block=idle)
            if row is None:
                return
            with self._watched(at, turn, row.job.writer, [*crew.rows, row], crew.tokens + row.tokens):
                crew.admit(row, turn)
            if self._clock() - started >= crew.step_s:
                return
            idle = False

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        """Wake the event loop, once for all rows of a turn."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            self._open = False

    def _turned(self) -> None:
        """Do what the turns since the last time call for; most often there is one."""
        while self._turns:
            self._take_note(self._turns.popleft())
        self._tell_queue()

    def _take_note(self, turn: Turn) -> None:
        for row, started, ended in turn.reads:
            written = pending_of(row).written
            written.started = written.started or started
            self._forecast.read(row, ended - started)
            self._observer.encoded(row.job.writer, row.tokens, ended - started, started - row.job.submitted)
        for row in turn.drops:
            self._drop(row.job.gone, 1)
        if turn.step is not None:
            self._observer.stepped(turn.step)
            self._forecast.stepped(turn.step)
        for row, token in turn.tokens:
            self._decided(pending_of(row), row.index, token)
        for row, end in turn.ends:
            self._ended(row, end)

    def _decided(self, job: Pending, index: int, token: Token) -> None:
        if job.on_token is None or job.gone:
            return
        try:
            job.on_token(index, token)
        except Exception as broken:  # noqa: BLE001 - a caller's fault is its own job's end and nobody else's
            self._fail(job, broken, "failed")

    def _ended(self, row: Row, end: Summary | Exception) -> None:
        job = pending_of(row)
        if job.gone:
            return
        if isinstance(end, Exception):
            expired = isinstance(end, DeadlineExceeded)
            self._fail(job, _translated(end), "expired" if expired else "failed")
            if expired:
                self._drop("expired", 1)
            return
        job.written.summaries[row.index] = end
        self._forecast.ended(row, end)
        job.left -= 1
        self._observer.finished(job.writer, end)
        if not job.left and not job.future.done():
            job.written.first_token = min((each.first for each in job.rows if each.first), default=0.0)
            job.written.ended = self._clock()
            job.future.set_result(job.written)

    def _expire(self, job: Pending) -> None:
        """Fail a job of which some still waits; what is being written is ended by its worker."""
        if self._slots.has(job):
            self._fail(job, too_late(), "expired")

    def _late(self, job: Pending) -> None:
        """Fail a job whose worker hangs in a step."""
        self._fail(job, too_late(), "expired")

    def _fail(self, job: Pending, error: Exception, why: str) -> None:
        if not job.future.done():
            job.future.set_exception(error)
        self._abandon(job, why)

    def _fail_all(self) -> None:
        for job in list(self._jobs):
            self._fail(job, Draining("the service stopped before this request was answered"), "failed")

    def _abandon(self, job: Pending, why: str) -> None:
        if not job.gone:
            job.gone = why
            self._drop(why, self._slots.discard(job))

    def _drop(self, reason: str, rows: int) -> None:
        if rows and reason != "failed":
            self._observer.dropped(reason, rows)
        self._tell_queue()

    def _tell_queue(self) -> None:
        self._observer.queue(self._slots.waiting_rows, self._slots.waiting_tokens)
        self._observer.slots(self._slots.rows, self._slots.cells)


def _translated(broken: Exception) -> Exception:
    if isinstance(broken, SluiceError):
        return broken
    error = InferenceFailed("the model failed on this input")
    error.__cause__ = broken
    return error
