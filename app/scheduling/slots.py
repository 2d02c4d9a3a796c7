"""The rows that wait to be written, oldest first, and the room that there is for those that are.

Room is bounded in rows and in cells of source memory (rows x longest). Nobody overtakes: where the oldest does not fit,
the younger ones wait too, so that a long source is never starved by short ones.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import QueueFull
from app.runtime.roster import Draft, Writer
from app.tasks.generate import Options
from app.tasks.numerals import Numerals

Lane = tuple[Writer, int]
"""A writer and a number of beams."""


@dataclass(frozen=True, slots=True)
class Room:
    """What may be written at once; a single row always may, however long."""

    max_rows: int
    max_cells: int


@dataclass(slots=True, eq=False)
class Row:
    """One text of a job."""

    job: "Job"
    index: int
    draft: Draft
    options: Options
    numerals: Numerals | None = None
    """Those of the text, where they are to be written whole."""
    listened: bool = False
    """Whether somebody listens for its tokens, which a beam of one decides one by one."""
    first: float = 0.0
    """When its first step ended, on ``time.monotonic``; 0 before that."""
    cost_s: float = 0.0
    """Seconds of a thread that it was forecast to take."""

    @property
    def lane(self) -> "Lane":
        """What may step together: rows of one writer with as many beams."""
        return self.job.writer, self.options.beams

    @property
    def tokens(self) -> int:
        """Source tokens: what the row adds to the queue."""
        return len(self.draft.ids)


@dataclass(slots=True, eq=False)
class Job:
    """The rows of one request that go to one writer."""

    writer: Writer
    submitted: float
    """On the clock of ``time.monotonic``."""
    deadline: float
    """On the same clock; what is not decided by then never is."""
    rows: list[Row] = field(default_factory=list)
    gone: str = ""
    """Why nobody waits for it any more, as the metrics name it."""

    @property
    def tokens(self) -> int:
        """Source tokens of all its rows."""
        return sum(row.tokens for row in self.rows)


@dataclass(frozen=True, slots=True)
class Held:
    """What one worker writes: rows, beams of all rows, and cells."""

    rows: int = 0
    beams: int = 0
    cells: int = 0


class Slots:
    """The bounded queue and the bounded room; every method may be called from any thread."""

    def __init__(self, workers: int, room: Room, max_queue_tokens: int) -> None:
        self._room = room
        self._max_queue_tokens = max_queue_tokens
        self._changed = threading.Condition()
        self._waiting: OrderedDict[Row, None] = OrderedDict()
        self._tokens = 0
        self._waiting_s = 0.0
        self._held = [Held() for _ in range(workers)]
        self._closed = False

    @property
    def waiting_rows(self) -> int:
        """Rows waiting."""
        return len(self._waiting)

    @property
    def waiting_tokens(self) -> int:
        """Source tokens waiting."""
        return self._tokens

    @property
    def waiting_s(self) -> float:
        """Seconds of a thread that the waiting rows were forecast to take."""
        return self._waiting_s

    @property
    def rows(self) -> int:
        """Rows being written."""
        return sum(held.rows for held in self._held)

    @property
    def cells(self) -> int:
        """Cells of source memory in use."""
        return sum(held.cells for held in self._held)

    @property
    def closed(self) -> bool:
        """Whether the workers are to stop."""
        return self._closed

    def refuse_full(self, job: Job) -> None:
        """Raise ``QueueFull`` where a job's rows would exceed the bound of the queue.

        A job larger than the whole bound is taken when nothing waits, or it could never be.
        """
        tokens, waiting = job.tokens, self._tokens
        if waiting and waiting + tokens > self._max_queue_tokens:
            raise QueueFull(
                f"{waiting} tokens are waiting and this request has {tokens}; expected at most "
                f"{self._max_queue_tokens} in all"
            )

    def put(self, job: Job) -> None:
        """Take all of a job's rows or none: ``QueueFull`` where they would exceed the bound."""
        tokens = job.tokens
        with self._changed:
            self.refuse_full(job)
            self._waiting.update(dict.fromkeys(job.rows))
            self._tokens += tokens
            self._waiting_s += sum(row.cost_s for row in job.rows)

    def wake(self) -> None:
        """Wake the idle workers; ``put`` wakes none, so that several jobs wake once."""
        with self._changed:
            self._changed.notify_all()

    def take(self, worker: int, cells_with: Callable[[Row], int], *, block: bool) -> Row | None:
        """Return the row that has waited longest, where it is this worker's turn and there is room for it.

        ``cells_with`` tells how many cells the worker would hold with a row. It is the turn of whoever writes least.
        ``None`` where there is none for it now or, where it may ``block`` until there is, after ``close``.
        """
        with self._changed:
            while not self._closed:
                row = next(iter(self._waiting), None)
                if row is not None and self._is_turn(worker) and self._fits(worker, cells := cells_with(row)):
                    self._forget(row)
                    held = self._held[worker]
                    self._held[worker] = Held(held.rows + 1, held.beams + row.options.beams, cells)
                    self._changed.notify_all()  # it may be another's turn now
                    return row
                if not block:
                    return None
                self._changed.wait()
            return None

    def hold(self, worker: int, held: Held) -> None:
        """Say what a worker holds now; rows and cells that it no longer does are free for others."""
        with self._changed:
            self._held[worker] = held
            if self._waiting:
                self._changed.notify_all()

    def has(self, job: Job) -> bool:
        """Tell whether rows of ``job`` still wait."""
        with self._changed:
            return any(row in self._waiting for row in job.rows)

    def discard(self, job: Job) -> int:
        """Forget the rows of ``job`` that still wait; return how many."""
        with self._changed:
            found = [row for row in job.rows if row in self._waiting]
            for row in found:
                self._forget(row)
            if found:
                self._changed.notify_all()  # the next one may fit
            return len(found)

    def close(self) -> list[Row]:
        """Let every blocked worker go; return the rows that will never be written."""
        with self._changed:
            self._closed = True
            left = list(self._waiting)
            for row in left:
                self._forget(row)
            self._changed.notify_all()
            return left

    def _is_turn(self, worker: int) -> bool:
        return self._held[worker].beams <= min(held.beams for held in self._held)

    def _fits(self, worker: int, cells: int) -> bool:
        rows, others = self.rows, self.cells - self._held[worker].cells
        return not rows or (rows < self._room.max_rows and others + cells <= self._room.max_cells)

    def _forget(self, row: Row) -> None:
        del self._waiting[row]
        self._tokens -= row.tokens
        self._waiting_s = self._waiting_s - row.cost_s if self._waiting else 0.0  # so that no rounding adds up
