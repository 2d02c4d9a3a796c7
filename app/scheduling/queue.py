"""The rows that wait for compute, and the one lock that guards them.

The queue is bounded in tokens, which is what costs. It gives out batches: the row that has waited longest, with its
nearest neighbours in length from the same lane and class. A lane is whatever may run together: one graph, one set of
outputs. A class says whose turn it is: interactive work goes first, and batch work gets one turn in several.
"""

import threading
from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Hashable, Sized
from dataclasses import dataclass, field, replace

from app.errors import QueueFull
from app.scheduling.policy import Budget, Priority, neighbours, turn


@dataclass(slots=True, eq=False)
class Row:
    """One text of a job: what its lane reads of it, such as ids int64[T], and where its answer goes."""

    job: "Job"
    index: int
    ids: Sized
    order: int = 0

    @property
    def length(self) -> int:
        """Tokens, at least one: what the row adds to the queue and to a batch; of a document, its padded cells."""
        return len(self.ids)


@dataclass(slots=True, eq=False)
class Job:
    """The rows of one request that go to one lane."""

    lane: Hashable
    deadline: float
    """On the clock of ``time.monotonic``; a row that has not started by then never does."""
    rows: list[Row] = field(default_factory=list)
    priority: Priority = "interactive"


class Waiting:
    """The bounded queue; every method may be called from any thread."""

    def __init__(self, budget: Budget, max_tokens: int) -> None:
        self._budget = budget
        self._max_tokens = max_tokens
        self._changed = threading.Condition()
        self._arrived: dict[Priority, OrderedDict[Row, None]] = {"interactive": OrderedDict(), "batch": OrderedDict()}
        self._by_length: dict[tuple[Priority, Hashable], list[Row]] = {}
        self._passed = 0
        self._orders = 0
        self._idle = 0
        self._tokens = 0
        self._closed = False

    @property
    def rows(self) -> int:
        """Rows waiting."""
        return sum(map(len, self._arrived.values()))

    @property
    def tokens(self) -> int:
        """Tokens waiting."""
        return self._tokens

    def put(self, job: Job) -> None:
        """Take all of a job's rows or none: ``QueueFull`` where they would exceed the bound.

        A job larger than the whole bound is taken when nothing waits, or it could never be.
        """
        tokens = sum(row.length for row in job.rows)
        with self._changed:
            if self._tokens and self._tokens + tokens > self._max_tokens:
                raise QueueFull(
                    f"{self._tokens} tokens are waiting and this request has {tokens}; expected at most "
                    f"{self._max_tokens} in all"
                )
            lane = self._by_length.setdefault((job.priority, job.lane), [])
            for row in job.rows:
                self._orders += 1
                row.order = self._orders
                self._arrived[job.priority][row] = None
                insort(lane, row, key=_by_length)
            self._tokens += tokens

    def wake(self) -> None:
        """Wake as many waiting threads as there are rows for; ``put`` wakes none, so that several jobs wake once."""
        with self._changed:
            self._changed.notify(self.rows)

    def discard(self, job: Job) -> int:
        """Forget the rows of ``job`` that still wait; return how many."""
        with self._changed:
            return sum(self._forget(row) for row in job.rows)

    def take(self, now: float) -> tuple[list[Row], list[Row]]:
        """Return what the policy would run now, and the rows among it whose deadline has passed.

        Both are taken off the queue; both are empty where nothing waits.
        """
        with self._changed:
            return self._take(now)

    def wait(self, clock: Callable[[], float]) -> tuple[list[Row], list[Row]] | None:
        """Block until there is something to take and return it; ``None`` once the queue is closed."""
        with self._changed:
            self._idle += 1
            try:
                while not self.rows:
                    if self._closed:
                        return None
                    self._changed.wait()
                return self._take(clock())
            finally:
                self._idle -= 1

    def close(self) -> list[Row]:
        """Let every waiting thread go; return the rows that will never run."""
        with self._changed:
            self._closed = True
            left = [row for rows in self._arrived.values() for row in rows]
            for row in left:
                self._forget(row)
            self._changed.notify_all()
            return left

    def _take(self, now: float) -> tuple[list[Row], list[Row]]:
        if not self.rows:
            return [], []
        oldest = next(iter(self._arrived[self._turn()]))
        lane = self._by_length[oldest.job.priority, oldest.job.lane]
        budget = self._share()
        at = bisect_left(lane, _by_length(oldest), key=_by_length)
        first = max(0, at - budget.max_rows)  # no batch reaches further
        low, high = neighbours([row.length for row in lane[first : at + budget.max_rows]], at - first, budget)
        taken = lane[first + low : first + high]
        for row in taken:
            self._forget(row)
        return [row for row in taken if row.job.deadline > now], [row for row in taken if row.job.deadline <= now]

    def _turn(self) -> Priority:
        waits: dict[Priority, bool] = {priority: bool(rows) for priority, rows in self._arrived.items()}
        found = turn(waits, self._passed)
        self._passed = self._passed + 1 if found == "interactive" and waits["batch"] else 0
        return found

    def _share(self) -> Budget:
        """Return the budget, cut so that other idle threads get their part of a short queue."""
        idle = max(1, self._idle)
        fair = -(-self.rows // idle)
        return self._budget if fair >= self._budget.max_rows else replace(self._budget, max_rows=fair)

    def _forget(self, row: Row) -> bool:
        job, arrived = row.job, self._arrived[row.job.priority]
        if row not in arrived:
            return False
        del arrived[row]
        lane = self._by_length[job.priority, job.lane]
        del lane[bisect_left(lane, _by_length(row), key=_by_length)]
        if not lane:
            del self._by_length[job.priority, job.lane]
        self._tokens -= row.length
        return True


def _by_length(row: Row) -> tuple[int, int]:
    return row.length, row.order
