"""The rows that wait for compute, and the one lock that guards them.

The queue is bounded in tokens, which is what costs. It gives out batches: the row that is due first, with its nearest
neighbours in length from the same lane and class. A lane is whatever may run together: one graph, one set of outputs.
A class says whose turn it is: interactive work goes first, and batch work gets one turn in several.

How long a row waits is bounded. Of its class at most n rows are due before it: those that waited when it came, and
those that come less than ``PATIENCE_S`` later with a nearer deadline. Each batch takes at least the first of its class,
so that on T threads it starts after at most ``ceil((n + 1) / T)`` batches a thread beside the one that runs; and while
the other class has work too, after 8/7 as many (interactive) or 8 times as many (batch). No batch is longer than the
largest that the budget allows, or one row. A long row, where a thread is kept free of them, counts T - 1 threads.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Hashable

from app.errors import QueueFull
from app.runtime.widths import rung
from app.scheduling.backlog import Backlog, by_length
from app.scheduling.estimate import RunCosts
from app.scheduling.job import Job, Row
from app.scheduling.places import Places
from app.scheduling.policy import BATCH_TURN, Budget, Joining, Priority, due, neighbours, turn

_SHORT_ABOUT_S = 1.0
"""How long after the last short row came a thread is still kept free of long ones."""

_LOOK_S = 0.05
"""How often a thread that is kept free looks whether it still has to be."""

_LOOK_PAST = 64
"""How many long rows a thread that is kept free passes over in search of a short one."""


class Waiting:
    """The bounded queue; every method may be called from any thread."""

    def __init__(
        self,
        budget: Budget,
        max_tokens: int,
        threads: int = 1,
        costs: RunCosts | None = None,
        places: Places | None = None,
    ) -> None:
        """``costs`` forecasts runs; without, no run is forecast to take any time.

        ``threads``: batches that may run at once. With ``places``, as many threads as there are cores ask for work, and
        those beyond ``threads`` get some where a core is free or every batch that runs is a long row.
        """
        self._budget = budget
        self._max_tokens = max_tokens
        self._threads = threads
        self._places = places
        self._asking = threads if places is None else max(threads, places.cores)
        self._costs = costs or RunCosts()
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._interactive, self._batch = Backlog(), Backlog()
        self._classes: dict[Priority, Backlog] = {"interactive": self._interactive, "batch": self._batch}
        self._passed = 0
        self._orders = 0
        self._idle = 0
        self._runs = 0
        self._long_runs = 0
        self._short_came = float("-inf")
        self._closed = False

    @property
    def rows(self) -> int:
        """Rows waiting."""
        return len(self._interactive.due) + len(self._batch.due)

    @property
    def tokens(self) -> int:
        """Tokens waiting."""
        return self._interactive.tokens + self._batch.tokens

    @property
    def asking(self) -> int:
        """How many threads ask for work."""
        return self._asking

    @property
    def is_short(self) -> bool:
        """Whether the interactive work that waits is, in full batches, no more than one a thread."""
        return self._interactive.batches <= self._threads

    @property
    def busy(self) -> bool:
        """Whether as many batches run as may at any time."""
        return self._runs >= self._threads

    def put(self, job: Job, now: float = 0.0) -> None:
        """Take all of a job's rows, at their price, or none: ``QueueFull`` where they would exceed the bound.

        A job larger than the whole bound is taken when nothing waits, or it could never be. The class ``batch`` fills
        at most half of the bound, so that interactive work always finds room.
        """
        tokens = sum([row.length for row in job.rows])
        with self._lock:
            self._refuse_beyond_bound(job.priority, tokens)
            job.due = due(now, job.deadline)
            for row in job.rows:
                self._orders += 1
                row.order = self._orders
                if not self._is_long(row):
                    self._short_came = now
            self._classes[job.priority].add(job)

    def price(self, job: Job) -> float:
        """Note what each of a job's rows is forecast to cost, and return their sum, in seconds of one thread.

        It is nothing until enough has run: a wrong price would stay in the queue with its rows.
        """
        cost = self._costs.of(job.lane) if self._costs.learnt else None
        alone = joining_of(job.lane) == "alone"
        total_s = 0.0
        for row in job.rows:
            width = rung(row.length)
            rows = 1 if alone else self._budget.full_rows(width)
            row.share = 1 / rows
            if cost is not None:
                row.cost_s = cost.seconds(rows, width) / rows
                total_s += row.cost_s
        return total_s

    def cost_before_s(self, priority: Priority, when: float) -> float:
        """Return the forecast of what goes before a row of a class that is due at ``when``, in seconds of one thread.

        Of the other class that is what its turns come to: of interactive work, all of it.
        """
        with self._lock:
            mine = self._classes[priority].cost_before_s(when)
            if priority == "batch":
                return mine + self._interactive.cost_s
            other = self._batch.cost_s
            return mine + min(other, mine / (BATCH_TURN - 1)) if other else mine

    def wake(self) -> None:
        """Wake as many waiting threads as there are rows for; ``put`` wakes none, so that several jobs wake once."""
        with self._lock:
            may_run = max(0, self._threads - self._runs) + self._may_borrow()
            self._changed.notify(min(self.rows, may_run))

    def discard(self, job: Job) -> int:
        """Forget the rows of ``job`` that still wait; return how many."""
        with self._lock:
            return sum(self._classes[job.priority].forget(row) for row in job.rows)

    def shed(self, keep_s: float) -> list[Job]:
        """Forget the interactive jobs that are due last, until no more than ``keep_s`` is left, or few; return them.

        A job of which a row runs already, or has run, stays.
        """
        with self._lock:
            mine = self._interactive
            waiting = Counter(row.job for row in mine.due)
            gone: list[Job] = []
            for job in reversed(waiting):  # in the order in which their first rows are due
                if mine.cost_s <= keep_s or self.is_short:
                    break
                if waiting[job] == len(job.rows):
                    gone.append(job)
                    for row in job.rows:
                        mine.forget(row)
            return gone

    def take(self, now: float) -> tuple[list[Row], list[Row]]:
        """Return what the policy would run now, and the rows among it whose deadline has passed.

        Both are taken off the queue; both are empty where nothing waits that this thread may run. What is to run is
        given back to ``ran``.
        """
        with self._lock:
            return self._take(now)

    def take_lone(self, now: float, allowed: Callable[[Row], bool]) -> Row | None:
        """Take the one row that waits, where no thread runs anything and it is ``allowed``; else ``None``.

        It is given back to ``ran``.
        """
        with self._lock:
            if self._runs or self.rows != 1:
                return None
            mine = next(each for each in self._classes.values() if each.due)
            row = mine.due[0]
            if row.job.deadline <= now or self._is_long(row) or not allowed(row):
                return None
            mine.forget(row)
            self._passed = 0
            self._count_runs(1)
            return row

    def wait(self, clock: Callable[[], float]) -> tuple[list[Row], list[Row]] | None:
        """Block until there is something to take and return it; ``None`` once the queue is closed."""
        with self._lock:
            self._idle += 1
            try:
                while True:
                    taken = self._take(clock())
                    if taken[0] or taken[1]:
                        return taken
                    if self._closed:
                        return None
                    self._changed.wait(_LOOK_S if self.rows else None)
            finally:
                self._idle -= 1

    def ran(self, rows: list[Row]) -> None:
        """Say that a batch has run: a thread that is kept free of long rows may take one now."""
        with self._lock:
            self._count_runs(-1)
            if self._has_long(rows):
                self._long_runs -= 1
                self._changed.notify()

    def close(self) -> list[Row]:
        """Let every waiting thread go; return the rows that will never run."""
        with self._lock:
            self._closed = True
            left = [row for each in self._classes.values() for row in each.due]
            for row in left:
                self._classes[row.job.priority].forget(row)
            self._changed.notify_all()
            return left

    def _refuse_beyond_bound(self, priority: Priority, tokens: int) -> None:
        waits, most = self.tokens, self._max_tokens
        if priority == "batch":
            waits, most = self._classes[priority].tokens, self._max_tokens // 2
        if waits and waits + tokens > most:
            raise QueueFull(f"{waits} tokens are waiting and this request has {tokens}; expected at most {most} in all")

    def _take(self, now: float) -> tuple[list[Row], list[Row]]:
        if self._places is not None and self._runs >= self._threads and not self._may_borrow():
            return [], []
        first = self._first(now)
        if first is None:
            return [], []
        job, mine = first.job, self._classes[first.job.priority]
        lane = mine.lanes[job.lane]
        budget = self._share(job.lane)
        seconds = self._costs.of(job.lane).seconds
        at = bisect_left(lane, by_length(first), key=by_length)
        start = max(0, at - budget.max_rows)  # no batch reaches further
        lengths = [row.length for row in lane[start : at + budget.max_rows]]
        low, high = neighbours(lengths, at - start, budget, seconds, within_s=job.deadline - now)
        taken = mine.take(job.lane, start + low, start + high)
        rows = [row for row in taken if row.job.deadline > now]
        self._count_runs(bool(rows))
        self._long_runs += self._has_long(rows)
        return rows, [row for row in taken if row.job.deadline <= now]

    def _count_runs(self, more: int) -> None:
        self._runs += more
        if self._places is not None:
            self._places.tell(self._runs)

    def _may_borrow(self) -> bool:
        """Tell whether a batch may run beyond those that may at any time.

        Beside long rows alone, for what is short must not wait for them. Else where a core is free and more waits than
        half a batch: less goes with the next batch, at a lower cost a row.
        """
        if self._runs >= self._asking:
            return False
        if self._runs - self._long_runs < self._threads:
            return True
        plenty = self.rows > self._budget.max_rows // 2 or self.tokens > self._budget.max_cells // 2
        return plenty and self._has_free_core

    @property
    def _has_free_core(self) -> bool:
        return self._places is not None and self._places.has_free

    def _first(self, now: float) -> Row | None:
        """Return the row around which the next batch is formed, and note whose turn it was."""
        waits: dict[Priority, bool] = {priority: bool(each.due) for priority, each in self._classes.items()}
        if not any(waits.values()):
            return None
        whose = turn(waits, self._passed)
        found = self._free_of_long(self._classes[whose].due, now)
        if found is None:  # long rows alone, and it is not for this thread to take one: is there another class?
            whose = "batch" if whose == "interactive" else "interactive"
            found = self._free_of_long(self._classes[whose].due, now)
        if found is not None:
            self._passed = self._passed + 1 if whose == "interactive" and waits["batch"] else 0
        return found

    def _free_of_long(self, rows: list[Row], now: float) -> Row | None:
        """Return the first row; the first short one where the last thread that runs no long one is to be kept so.

        A text of thousands of words is one row, and no batch can be smaller. On all threads at once, such rows would
        make each short text wait for one. While there are none about, long rows get every thread.
        """
        borrowed = self._places is not None and self._runs >= self._threads and not self._has_free_core
        last = 0 < self._asking - 1 <= self._long_runs and now - self._short_came < _SHORT_ABOUT_S
        spare = borrowed or last
        if not spare:
            return rows[0] if rows else None
        return next((row for row in rows[:_LOOK_PAST] if not self._is_long(row)), None)

    def _has_long(self, rows: list[Row]) -> bool:
        return max([row.length for row in rows], default=0) > self._budget.max_cells // 2

    def _is_long(self, row: Row) -> bool:
        return row.length > self._budget.max_cells // 2

    def _share(self, lane: Hashable) -> Budget:
        """Return the budget of a lane, cut so that other idle threads get their part of a short queue."""
        idle = max(1, self._idle if self._places is None else min(self._idle, self._threads - self._runs))
        fair = -(-self.rows // idle)
        budget, joining = self._budget, joining_of(lane)
        if fair >= budget.max_rows and joining == budget.joining:
            return budget
        return Budget(budget.max_cells, min(fair, budget.max_rows), budget.max_padding_share, joining)


def joining_of(lane: Hashable) -> Joining:
    """Return how a lane's rows run together, as its ``joining`` says; ``padded`` where it says nothing."""
    joining: Joining = getattr(lane, "joining", "padded")
    return joining
