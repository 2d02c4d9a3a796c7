"""Writes summaries step by step on a few threads, and brings the tokens back to the event loop.

Each thread steps teams of rows: a waiting row joins a team at any step, and leaves when it is done. A caller who is
gone, or whose time is up, frees the slot at the next step. Every job is resolved: with its summaries, with the error of
the row that failed, at its deadline, or at shutdown.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from app.errors import DeadlineExceeded, Draining, InferenceFailed, SluiceError
from app.runtime.roster import Draft, Found, Roster, Writer, padded_width
from app.scheduling.cost import UNKNOWN, StepCost, cheapest, measure
from app.scheduling.slots import Job, Lane, Room, Row, Slots
from app.tasks.generate import Options, Search, Summary, Token

OnToken = Callable[[int, Token], None]
"""Told on the event loop of each token of a beam of one as it is decided, with the place of its order in the job."""

_GRACE_S = 0.5
"""How long after its deadline a job waits for the step that is running, so as to answer with what was decided."""

_LEAST_S = 1e-6
"""What reading a text counts at least, so that a clock that stands still ends."""


@dataclass(frozen=True, slots=True)
class Order:
    """A text to be summarized, and how."""

    draft: Draft
    options: Options


@dataclass(slots=True)
class Written:
    """A job's summaries in the order of its orders, and its times on ``time.monotonic``.

    ``started``: when its first text was read; ``first_token``: when its first token was decided, 0 where none was.
    """

    summaries: list[Summary]
    submitted: float
    started: float = 0.0
    first_token: float = 0.0
    ended: float = 0.0


@dataclass(frozen=True, slots=True)
class Stepped:
    """What one step did, for whoever counts; times in seconds, on ``time.monotonic``.

    ``cells``: of source memory, padding counted; ``tokens``: of the sources, without. ``first_s``: for each row at its
    first step, the time since it was submitted; ``gaps_s``: for each other, the time since its last step.
    """

    writer: Writer
    rows: int
    beams: int
    cells: int
    tokens: int
    started: float
    ended: float
    first_s: list[float] = field(default_factory=list)
    gaps_s: list[float] = field(default_factory=list)


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


@dataclass(slots=True, eq=False)
class _Pending(Job):
    """A job with the future that waits for it; touched by the event loop alone once it is submitted."""

    future: asyncio.Future[Written] = field(kw_only=True)
    written: Written = field(kw_only=True)
    left: int = field(kw_only=True)
    on_token: OnToken | None = field(kw_only=True)


@dataclass(slots=True)
class _Team:
    """Rows that step together, in the order of their roster."""

    roster: Roster
    rows: list[Row] = field(default_factory=list)

    def remove(self, at: int) -> Row:
        """Let row ``at`` leave; the last takes its place."""
        row = self.rows[at]
        self.roster.leave(at)
        self.rows[at] = self.rows[-1]
        self.rows.pop()
        return row


@dataclass(slots=True)
class _Worker:
    """One thread's teams, the one that stepped longest ago first."""

    at: int
    teams: list[_Team] = field(default_factory=list)
    step_s: float = 0.0

    def team_for(self, row: Row, costs: Mapping[Lane, StepCost]) -> _Team | None:
        """Return the team that a row joins, ``None`` for one of its own."""
        own = [team for team in self.teams if (team.roster.writer, team.roster.beams) == row.lane]
        sizes = [(team.roster.rows, team.roster.width) for team in own]
        at = cheapest(costs.get(row.lane, UNKNOWN), sizes, row.tokens)
        return None if at is None else own[at]

    def cells_with(self, row: Row, costs: Mapping[Lane, StepCost]) -> int:
        """Return the cells that this worker would hold with a row."""
        cells, width = sum(team.roster.cells for team in self.teams), padded_width(row.tokens)
        team = self.team_for(row, costs)
        if team is None:
            return cells + width
        return cells - team.roster.cells + (team.roster.rows + 1) * max(width, team.roster.width)


@dataclass(slots=True)
class _Turn:
    """What one turn of a worker did, told to the event loop at once."""

    reads: list[tuple[Row, float, float]] = field(default_factory=list)
    tokens: list[tuple[Row, Token]] = field(default_factory=list)
    ends: list[tuple[Row, Summary | Exception]] = field(default_factory=list)
    drops: list[Row] = field(default_factory=list)
    step: Stepped | None = None


class Decoder:
    """A bounded queue, bounded slots, and the threads that fill and step them."""

    def __init__(
        self,
        *,
        threads: int,
        room: Room,
        max_queue_tokens: int,
        observer: Observer,
        clock: Callable[[], float] = time.monotonic,
        cost: Callable[[Writer, Draft, Options], StepCost] = measure,
    ) -> None:
        """``clock`` stands in for ``time.monotonic``; ``cost`` is asked once for each writer and number of beams."""
        self._slots = Slots(threads, room, max_queue_tokens)
        self._workers = threads
        self._observer = observer
        self._clock = clock
        self._measure = cost
        self._costs: dict[Lane, StepCost] = {}
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: set[_Pending] = set()
        self._open = False
        self._waking = False

    def start(self) -> None:
        """Start the threads; call it on the event loop that will submit."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._threads = [
            threading.Thread(target=self._work, args=(at,), name=f"decode-{at}", daemon=True)
            for at in range(self._workers)
        ]
        for thread in self._threads:
            thread.start()

    async def submit(
        self, writer: Writer, orders: Sequence[Order], timeout_s: float, on_token: OnToken | None = None
    ) -> Written:
        """Return the summaries of ``orders``, at least one, each of a draft with at least one token.

        Raises ``QueueFull`` at once where the queue has no room, ``Draining`` while the service stops, and what the
        writer raised. After ``timeout_s`` a summary is what was decided of it (its reason is ``deadline``);
        ``DeadlineExceeded`` where nothing was. A cancelled caller's rows leave queue and slots at the next step.
        """
        if not self._open or self._loop is None:
            raise Draining("the service is stopping")
        pending = self._pending(writer, orders, timeout_s, on_token)
        if not pending.rows:
            raise ValueError("This is a bug: a job without texts")
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

    async def stream(self, writer: Writer, order: Order, timeout_s: float) -> AsyncGenerator[Token | Summary, None]:
        """Yield each token as it is decided, where the order is for a beam of one, and then the summary.

        Raises as ``submit`` does. Closing the generator is how its caller leaves.
        """
        told: asyncio.Queue[Token | None] = asyncio.Queue()
        work = asyncio.ensure_future(self.submit(writer, [order], timeout_s, lambda _, token: told.put_nowait(token)))
        work.add_done_callback(lambda _: told.put_nowait(None))
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

    def _pending(self, writer: Writer, orders: Sequence[Order], timeout_s: float, on_token: OnToken | None) -> _Pending:
        now = self._clock()
        blank = Summary([], 0.0, "deadline")
        pending = _Pending(
            writer,
            now + timeout_s,
            future=asyncio.get_running_loop().create_future(),
            written=Written([blank] * len(orders), now),
            left=len(orders),
            on_token=on_token,
        )
        for at, order in enumerate(orders):
            search = Search(order.options, writer.bos_id, writer.eos_id, order.draft.ids)
            pending.rows.append(Row(pending, at, order.draft, order.options, search))
        return pending

    def _wake_soon(self) -> None:
        """Wake the threads at the end of this turn of the event loop, once for all that was submitted in it."""
        if not self._waking and self._loop is not None:
            self._waking = True
            self._loop.call_soon(self._wake)

    def _wake(self) -> None:
        self._waking = False
        self._slots.wake()

    def _work(self, at: int) -> None:
        worker = _Worker(at)
        while not self._slots.closed:
            turn = _Turn()
            self._sweep(worker, turn)
            self._admit(worker, turn)
            if worker.teams:
                self._step(worker, turn)
            self._hold(worker)
            self._tell(self._turned, turn)

    def _sweep(self, worker: _Worker, turn: _Turn) -> None:
        """Free the slots of rows that nobody waits for, or whose time is up."""
        now = self._clock()
        for team in worker.teams:
            for at in reversed(range(len(team.rows))):
                if self._is_over(team.rows[at], now, turn):
                    team.remove(at)
        worker.teams = [team for team in worker.teams if team.rows]
        if turn.drops or turn.ends:
            self._hold(worker)

    def _is_over(self, row: Row, now: float, turn: _Turn) -> bool:
        if row.job.gone:
            turn.drops.append(row)
        elif row.job.deadline <= now:
            turn.ends.append((row, row.search.best("deadline") if row.search.length else _too_late()))
        else:
            return False
        return True

    def _admit(self, worker: _Worker, turn: _Turn) -> None:
        """Read waiting texts, one where it is this worker's turn, and more for as long as a step takes.

        Those that are being written would wait for more; those that wait would come in too slowly for less.
        """
        spent = 0.0
        while spent <= worker.step_s:
            idle = not (worker.teams or turn.ends or turn.drops)
            row = self._slots.take(worker.at, lambda row: worker.cells_with(row, self._costs), block=idle)
            if row is None:
                return
            started = self._clock()
            if not self._is_over(row, started, turn):
                self._read(worker, row, turn)
            spent += max(self._clock() - started, _LEAST_S)

    def _read(self, worker: _Worker, row: Row, turn: _Turn) -> None:
        """Encode a text and let it join a team."""
        started = self._clock()
        try:
            if row.lane not in self._costs:
                self._costs[row.lane] = self._measure(row.job.writer, row.draft, row.options)
            team = worker.team_for(row, self._costs)
            fresh = team or _Team(Roster(row.job.writer, row.options.beams, row.options.candidates))
            fresh.roster.join(row.draft)
        except Exception as broken:  # noqa: BLE001 - whatever it is, the future must learn of it
            turn.ends.append((row, broken))
            return
        fresh.rows.append(row)
        if team is None:
            worker.teams.append(fresh)
        turn.reads.append((row, started, self._clock()))

    def _step(self, worker: _Worker, turn: _Turn) -> None:
        """Step the team whose turn it is; the rows that are done leave it."""
        team = worker.teams.pop(0)
        started = self._clock()
        rows, beams, cells, tokens = len(team.rows), team.roster.beams, team.roster.cells, team.roster.tokens
        try:
            found = team.roster.step([row.search.ask() for row in team.rows])
        except Exception as broken:  # noqa: BLE001 - whatever it is, the futures must learn of it
            found = [broken] * rows
        ended = self._clock()
        step = Stepped(team.roster.writer, rows, beams, cells, tokens, started, ended)
        for at in reversed(range(rows)):
            row = team.rows[at]
            self._count(row, step)
            end = _advance(row, found[at], turn)
            if end is not None:
                turn.ends.append((row, end))
                team.remove(at)
        if team.rows:
            worker.teams.append(team)
        worker.step_s = ended - started
        turn.step = step

    def _count(self, row: Row, step: Stepped) -> None:
        if row.stepped:
            step.gaps_s.append(step.ended - row.stepped)
        else:
            step.first_s.append(step.ended - _pending(row).written.submitted)
            row.first = step.ended
        row.stepped = step.ended

    def _hold(self, worker: _Worker) -> None:
        rosters = [team.roster for team in worker.teams]
        self._slots.hold(
            worker.at,
            rows=sum(roster.rows for roster in rosters),
            beams=sum(roster.rows * roster.beams for roster in rosters),
            cells=sum(roster.cells for roster in rosters),
        )

    def _tell(self, what: Callable[..., None], *arguments: Any) -> None:
        """Wake the event loop, once for a whole turn."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(what, *arguments)
        except RuntimeError:  # the loop is closed, so nobody waits any more
            self._open = False

    def _turned(self, turn: _Turn) -> None:
        for row, started, ended in turn.reads:
            written = _pending(row).written
            written.started = written.started or started
            self._observer.encoded(row.job.writer, row.tokens, ended - started, started - written.submitted)
        for row in turn.drops:
            self._drop(row.job.gone, 1)
        if turn.step is not None:
            self._observer.stepped(turn.step)
        for row, token in turn.tokens:
            self._decided(_pending(row), row.index, token)
        for row, end in turn.ends:
            self._ended(row, end)
        self._tell_queue()

    def _decided(self, job: _Pending, index: int, token: Token) -> None:
        if job.on_token is None or job.gone:
            return
        try:
            job.on_token(index, token)
        except Exception as broken:  # noqa: BLE001 - a caller's fault is its own job's end and nobody else's
            self._fail(job, broken, "failed")

    def _ended(self, row: Row, end: Summary | Exception) -> None:
        job = _pending(row)
        if job.gone:
            return
        if isinstance(end, Exception):
            expired = isinstance(end, DeadlineExceeded)
            self._fail(job, _translated(end), "expired" if expired else "failed")
            if expired:
                self._drop("expired", 1)
            return
        job.written.summaries[row.index] = end
        job.left -= 1
        self._observer.finished(job.writer, end)
        if not job.left and not job.future.done():
            job.written.first_token = min((each.first for each in job.rows if each.first), default=0.0)
            job.written.ended = self._clock()
            job.future.set_result(job.written)

    def _expire(self, job: _Pending) -> None:
        """Fail a job of which some still waits; what is being written is ended by its worker."""
        if any(not row.stepped for row in job.rows) and self._slots.discard(job):
            self._fail(job, _too_late(), "expired")

    def _late(self, job: _Pending) -> None:
        """Fail a job whose worker hangs in a step."""
        self._fail(job, _too_late(), "expired")

    def _fail(self, job: _Pending, error: Exception, why: str) -> None:
        if not job.future.done():
            job.future.set_exception(error)
        self._abandon(job, why)

    def _fail_all(self) -> None:
        for job in list(self._jobs):
            self._fail(job, Draining("the service stopped before this request was answered"), "failed")

    def _abandon(self, job: _Pending, why: str) -> None:
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


def _advance(row: Row, found: Found | Exception, turn: _Turn) -> Summary | Exception | None:
    """Tell a row's search what its step found; return how it ends, if it does."""
    if isinstance(found, Exception):
        return found
    search = row.search
    before = search.length
    try:
        search.tell(found)
    except ValueError as broken:
        return broken
    if search.length > before and row.options.beams == 1 and search.latest is not None:
        turn.tokens.append((row, search.latest))
    return search.best() if search.done else None


def _pending(row: Row) -> _Pending:
    if not isinstance(row.job, _Pending):
        raise TypeError("This is a bug: a row without a future")
    return row.job


def _translated(broken: Exception) -> Exception:
    if isinstance(broken, SluiceError):
        return broken
    error = InferenceFailed("the model failed on this input")
    error.__cause__ = broken
    return error


def _too_late() -> DeadlineExceeded:
    return DeadlineExceeded("no answer within the time that a request may take")
