"""The threads that empty the queue, one batch after another each, and who takes the place of one that hangs."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from app.errors import InferenceFailed, InferenceHung
from app.runtime.threads import give_way
from app.runtime.widths import rung
from app.scheduling.estimate import RunCosts
from app.scheduling.inline import Inline
from app.scheduling.job import Row
from app.scheduling.queue import Waiting, joining_of
from app.scheduling.ticket import Answer, Batch, Lane
from app.scheduling.watchdog import GivenUp, Watchdog, Work

_HANGS_OF_A_BATCH = 2
"""A batch hangs, one of its rows hangs alone: where a second one does too, it is not the rows."""


Done = Callable[[list[Row], Sequence[Answer], Batch], None]


class Outcomes(Protocol):
    """Whoever hears what becomes of rows; called on the event loop."""

    def done(self, rows: list[Row], answers: Sequence[Answer], batch: Batch) -> None:
        """Hear the answers to the rows of a batch, in their order."""

    def done_alone(self, rows: list[Row], answers: Sequence[Answer], batch: Batch) -> None:
        """Hear the answer to a row that ran past the queue."""

    def broken(self, row: Row, broken: Exception) -> None:
        """Hear why a row has no answer."""

    def expired(self, rows: list[Row]) -> None:
        """Hear of rows whose deadline passed before they ran."""

    def more(self) -> None:
        """Hear that what waits is to be run by ``Runner.run_what_waits``, at the end of this turn."""


@dataclass(slots=True, eq=False)
class _Post:
    """One thread's place: the batches that were taken off the queue for it and have not run, and how often one hung."""

    at: int
    todo: deque[list[Row]] = field(default_factory=deque)
    hangs: int = 0
    taken: list[Row] = field(default_factory=list)
    """The batch as it was taken."""


class Runner:
    """Runs what waits: on threads of its own or, what is brief, on the event loop's."""

    def __init__(
        self,
        waiting: Waiting,
        costs: RunCosts,
        outcomes: Outcomes,
        *,
        threads: int,
        watchdog: Watchdog,
        inline: Inline,
        clock: Callable[[], float],
    ) -> None:
        """``costs`` forecasts runs; ``clock`` stands in for ``time.monotonic``."""
        self._waiting = waiting
        self._costs = costs
        self._outcomes = outcomes
        self._count = threads
        self._watchdog = watchdog
        self._inline = inline
        self._clock = clock
        self._threads: list[threading.Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._open = False

    def start(self) -> None:
        """Start the threads; call it on the event loop that is to hear of the outcomes."""
        self._loop = asyncio.get_running_loop()
        self._open = True
        self._waiting.leave_brief(self._is_brief, partial(self._tell, self._outcomes.more))
        self._threads = [self._thread(_Post(at)) for at in range(self._count)]

    def close(self, join_s: float) -> None:
        """Let the threads end once the queue is closed; a batch that runs is finished first."""
        self._open = False
        for thread in self._threads:
            thread.join(join_s)

    def run_what_waits(self) -> None:
        """Run a brief batch here and now, on the event loop; wake the threads for anything else."""
        rows = self._waiting.take_brief(self._clock())
        if self._waiting.rows:
            self._waiting.wake()  # also where some run here: on a core that is lent another batch may run beside it
        if rows is None:
            return
        self._run_taken(rows, self._outcomes.done)
        if self._waiting.rows:
            self._outcomes.more()

    def run_alone(self, row: Row) -> bool:
        """Run a row that never joined the queue on the event loop, where it may; ``False`` where it has to join."""
        if not self._waiting.let_by(row, self._clock()):
            return False
        self._run_taken([row], self._outcomes.done_alone)
        return True

    def _is_brief(self, rows: Sequence[Row]) -> bool:
        lane: Any = rows[0].job.lane
        if joining_of(lane) != "padded":
            return False  # a graph of any kind, whose run time need not be made by its shapes
        width = rung(max([row.length for row in rows]))
        return self._inline.takes(lane, width, self._costs.seconds(lane, len(rows), width))

    def _run_taken(self, rows: list[Row], done: Done) -> None:
        try:
            self._run_here(rows, done)
        finally:
            self._waiting.ran(rows)

    def _run_here(self, rows: list[Row], done: Done) -> None:
        lane: Any = rows[0].job.lane
        width, cells = _size(lane, rows)
        work = Work(lane, lane.model, lane.version, cells)
        started = self._clock()
        try:
            answers = _checked(self._inline.run(self._watchdog, work, lane, [row.ids for row in rows]), len(rows))
        except Exception as broken:  # noqa: BLE001 - whatever it is, the future must learn of it
            self._leave_to_threads(rows, broken)
        else:
            done(rows, answers, self._batch(lane, rows, (width, cells), started, inline=True))

    def _leave_to_threads(self, rows: list[Row], broken: Exception) -> None:
        """Have a batch that failed here run again in parts, so that one bad row does not fail its neighbours."""
        if len(rows) == 1:
            self._outcomes.broken(rows[0], broken)
            return
        size = 1 if isinstance(broken, InferenceHung) else -(-len(rows) // 2)
        self._waiting.put_parts([rows[at : at + size] for at in range(0, len(rows), size)])

    def _thread(self, post: _Post, instead_of: Work | None = None) -> threading.Thread:
        thread = threading.Thread(target=self._work, args=(post, instead_of), name=f"infer-{post.at}", daemon=True)
        thread.start()
        return thread

    def _work(self, post: _Post, hung: Work | None) -> None:
        """Empty the queue; the thread that takes another's place first renews the session of the lane that hung."""
        give_way()
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
            self._tell(self._outcomes.expired, expired)
        if rows:
            post.taken = rows
            post.todo.append(rows)
        return True

    def _run_all(self, post: _Post) -> None:
        while post.todo:
            now = self._clock()
            rows = [row for row in post.todo.popleft() if row.job.deadline > now]
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
                answers = _checked(lane.run([row.ids for row in rows]), len(rows))
        except GivenUp:
            raise
        except Exception as broken:  # noqa: BLE001 - whatever it is, the future must learn of it
            half = len(rows) // 2
            if half:
                post.todo.extendleft([rows[half:], rows[:half]])
            else:
                self._tell(self._outcomes.broken, rows[0], broken)
            return
        batch = self._batch(lane, rows, (width, cells), started)
        self._inline.trust(lane, width)
        self._tell(self._outcomes.done, rows, answers, batch)

    def _batch(
        self, lane: Lane, rows: list[Row], size: tuple[int, int], started: float, *, inline: bool = False
    ) -> Batch:
        ended = self._clock()
        width, cells = size
        tokens = sum([row.length for row in rows])
        forecast_s = self._costs.seconds(lane, len(rows), width)
        return Batch(lane, len(rows), tokens, width, cells, started, ended, forecast_s, inline)

    def _hung(self, post: _Post, work: Work, rows: list[Row], error: InferenceHung) -> None:
        """Put a new thread in the place of one whose batch hangs; called by the watchdog.

        Its rows run again one by one, so that only the one that hangs fails; where it is not the row, they all fail.
        """
        self._inline.distrust(work.runner)
        post.hangs += 1
        if len(rows) > 1:
            post.todo.extendleft([row] for row in reversed(rows))
        else:
            self._tell(self._outcomes.broken, rows[0], error)
        if post.hangs > _HANGS_OF_A_BATCH or not self._open:
            for row in (row for rows in post.todo for row in rows):
                self._tell(self._outcomes.broken, row, error)
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


def _size(lane: Lane, rows: list[Row]) -> tuple[int, int]:
    """Return how wide each row of a batch runs, as the longest or the mean where they are not padded, and its cells."""
    lengths = [row.length for row in rows]
    if joining_of(lane) != "padded":
        tokens = sum(lengths)
        return -(-tokens // len(rows)), tokens
    width = rung(max(lengths))
    return width, len(rows) * width


def _checked(answers: Sequence[Answer], rows: int) -> Sequence[Answer]:
    if len(answers) != rows:
        raise InferenceFailed(f"This is a bug: {len(answers)} answers to {rows} rows")
    return answers
